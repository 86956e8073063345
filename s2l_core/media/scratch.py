"""The folder beside a result, ``NAME.partial``, in which its unfinished parts lie until it is whole.

A note in it says whose it is. A folder without that note is somebody else's and stays as it is; of what is in one with
it, only files that have names from here are removed.
"""

from __future__ import annotations

import os
import re
import stat
from contextlib import suppress
from pathlib import Path

from ..errors import CannotWrite
from ..files import TEMPORARY, companion, is_regular, refusal, remove_files, temporary_name, write_whole

NOTICE = "synthetic_media.txt"
"""What says, beside pictures, that they are synthetic media."""
_NOTE, _DOCUMENT, _PICTURES = "made_by_speech2lip.txt", "job.json", "pictures"
_OUR_FILES = rf"(\d{{7}}\.(done|mp4|mov|mkv)|{re.escape(_DOCUMENT)})|.*{TEMPORARY}"
_OUR_PICTURES = rf"(\d{{6,}}\.(png|exr)|{re.escape(NOTICE)})({TEMPORARY})?"
_LEFTOVERS = rf".*{TEMPORARY}"


class Scratch:
    """The scratch folder of one result, of which one job at a time makes use.

    Args:
        path: Of the result.

    Attributes:
        folder: The scratch folder.
        pictures: The folder of pictures in it.
    """

    def __init__(self, path: Path) -> None:
        self.folder = companion(path, ".partial")
        self.pictures = self.folder / _PICTURES
        self._note = f"Speech2Lip keeps unfinished frames of {path.name!a} here, and removes them with the folder.\n"

    def refuse_foreign(self, *sources: str) -> None:
        """Raise before the work where the folder is not ours.

        Args:
            sources: Files that the job reads.

        Raises:
            CannotWrite: Something else has the name of the folder, or a source of the job lies in it.
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

    def open(self, document: str) -> None:
        """Make the folder, and clear it of what belongs to another document.

        Raises:
            CannotWrite: The folder is not ours, or cannot be made.
            DiskFull: There is no room.
        """
        self.refuse_foreign()
        try:
            if not self.folder.exists():
                self._make()
            self._remove_files(leftovers_only=self._belongs_to(document.encode()))
            self.pictures.mkdir(exist_ok=True)
        except OSError as error:
            raise refusal(self.folder, error) from error
        write_whole(str(self.folder / _DOCUMENT), document.encode())

    def remove(self) -> None:
        """Remove what is ours, and the folder unless somebody has put something else into it."""
        with suppress(OSError):
            self._remove_files()
            if [path.name for path in self.folder.iterdir()] == [_NOTE]:
                remove_files(self.folder, re.escape(_NOTE))

    def picture_sizes(self) -> dict[str, int]:
        """Names of the pictures in the folder, and their bytes: 0 where a loss of power has left nothing of one."""
        found = (path for path in self.pictures.iterdir() if re.fullmatch(_OUR_PICTURES, path.name))
        return {path.name: path.lstat().st_size if is_regular(path) else 0 for path in found if path.name != NOTICE}

    def _make(self) -> None:
        """Make the folder with its note in it, so that it is never there without."""
        new = temporary_name(self.folder)
        new.mkdir()
        try:
            write_whole(str(new / _NOTE), self._note.encode())
            new.rename(self.folder)
        except BaseException:
            with suppress(OSError):
                remove_files(new, ".*")
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
        """Remove all but the note, or only what a killed process was writing."""
        remove_files(self.pictures, _LEFTOVERS if leftovers_only else _OUR_PICTURES)
        remove_files(self.folder, _LEFTOVERS if leftovers_only else _OUR_FILES)


def _lies_in(source: str, folder: Path) -> bool:
    try:
        return Path(source).resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError, RuntimeError):  # it cannot be read either, which is said elsewhere
        return False


def _holds(path: Path, content: bytes) -> bool:
    """Whether a file has this content."""
    return is_regular(path) and path.stat().st_size == len(content) and path.read_bytes() == content
