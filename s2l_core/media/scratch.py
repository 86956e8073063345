"""The scratch folder ``NAME.partial`` beside a result, which contains its unfinished parts.

A note in the folder identifies it. A folder without the note was made by something else and is never changed; in a
folder with it, only files with names of this module are removed.
"""

from __future__ import annotations

import os
import re
import stat
from contextlib import suppress
from pathlib import Path

from ..credentials.listing import NOTICE
from ..credentials.media_types import SIDECAR
from ..errors import CannotWrite
from ..files import TEMPORARY, companion, is_regular, refusal, remove_files, temporary_name, write_whole

_NOTE, _DOCUMENT, _PICTURES = "made_by_speech2lip.txt", "job.json", "pictures"
_OUR_FILES = rf"(\d{{7}}\.(done|mp4|mov|mkv)|{re.escape(_DOCUMENT)})|.*{TEMPORARY}"
_OUR_NOTICE = rf"{re.escape(NOTICE)}({re.escape(SIDECAR)})?"
_OUR_PICTURES = rf"(\d{{6,}}\.(png|exr)|{_OUR_NOTICE})({TEMPORARY})?"
_LEFTOVERS = rf".*{TEMPORARY}"


class Scratch:
    """The scratch folder of a result, which is used by one job at a time, or by several parts of one job.

    Args:
        path: Path of the result.

    Attributes:
        folder: The scratch folder.
        pictures: The folder for pictures inside the scratch folder.
    """

    def __init__(self, path: Path) -> None:
        self.folder = companion(path, ".partial")
        self.pictures = self.folder / _PICTURES
        self._note = f"Speech2Lip keeps unfinished frames of {path.name!a} here, and removes them with the folder.\n"

    def refuse_foreign(self, *sources: str) -> None:
        """Raise an error if the folder cannot be used.

        Args:
            sources: Files that the job reads.

        Raises:
            CannotWrite: The name of the folder is taken by something else, or a source of the job is in the folder.
        """
        if not os.path.lexists(self.folder):
            return
        if not self._is_ours():
            hint = "Move it elsewhere, or choose another output: unfinished frames are stored under that name."
            raise CannotWrite(f"{self.folder} already exists and was not made by Speech2Lip.", hint)
        for source in sources:
            if _lies_in(source, self.folder):
                hint = "Move it elsewhere, or choose another output."
                raise CannotWrite(f"{source} is in {self.folder}, where unfinished frames are stored.", hint)

    def open(self, document: str, is_shared: bool = False) -> None:
        """Make the folder, and remove the parts of other work from it.

        Args:
            document: Identifies the work.
            is_shared: Whether other processes may be writing other parts of the same work. Nothing is removed then.

        Raises:
            CannotWrite: The folder was made by something else, or cannot be made; or, if it is shared, contains parts
                of other work.
            DiskFull: There is no space.
        """
        self.refuse_foreign()
        try:
            if not self.folder.exists():
                self._make()
            belongs = self._belongs_to(document.encode())
            if not is_shared:
                self._remove_files(leftovers_only=belongs)
            elif not belongs and os.path.lexists(self.folder / _DOCUMENT):
                hint = "Run the task that looks at the clip again: files, device or version have changed since."
                raise CannotWrite(f"{self.folder} contains frames of other work.", hint)
            self.pictures.mkdir(exist_ok=True)
        except OSError as error:
            raise refusal(self.folder, error) from error
        if not belongs:
            write_whole(str(self.folder / _DOCUMENT), document.encode())

    def remove(self) -> None:
        """Remove our files, and the folder if it is empty then."""
        with suppress(OSError):
            self._remove_files()
            if [path.name for path in self.folder.iterdir()] == [_NOTE]:
                remove_files(self.folder, re.escape(_NOTE))

    def picture_sizes(self) -> dict[str, int]:
        """Names and sizes of the pictures in the folder; a size may be 0 after a loss of power."""
        found = (path for path in self.pictures.iterdir() if re.fullmatch(_OUR_PICTURES, path.name))
        pictures = (path for path in found if not path.name.startswith(NOTICE))
        return {path.name: path.lstat().st_size if is_regular(path) else 0 for path in pictures}

    @staticmethod
    def is_unfinished(name: str) -> bool:
        """Whether a file name is that of a file that is being written."""
        return re.fullmatch(_LEFTOVERS, name) is not None

    def _make(self) -> None:
        """Make the folder with its note atomically."""
        new = temporary_name(self.folder)
        new.mkdir()
        try:
            write_whole(str(new / _NOTE), self._note.encode())
            new.rename(self.folder)
        except BaseException as error:
            with suppress(OSError):
                remove_files(new, ".*")
            if not (isinstance(error, OSError) and self._is_ours()):  # another process made it in between
                raise

    def _is_ours(self) -> bool:
        try:
            is_folder = stat.S_ISDIR(self.folder.lstat().st_mode) and not self.pictures.is_symlink()
            return is_folder and _holds(self.folder / _NOTE, self._note.encode())
        except OSError:
            return False

    def _belongs_to(self, document: bytes) -> bool:
        return _holds(self.folder / _DOCUMENT, document)

    def _remove_files(self, leftovers_only: bool = False) -> None:
        """Remove everything except the note, or only temporary files of killed processes."""
        remove_files(self.pictures, _LEFTOVERS if leftovers_only else _OUR_PICTURES)
        remove_files(self.folder, _LEFTOVERS if leftovers_only else _OUR_FILES)


def _lies_in(source: str, folder: Path) -> bool:
    try:
        return Path(source).resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError, RuntimeError):  # unreadable sources are reported when they are opened
        return False


def _holds(path: Path, content: bytes) -> bool:
    """Whether a file has the given content."""
    return is_regular(path) and path.stat().st_size == len(content) and path.read_bytes() == content
