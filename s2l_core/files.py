"""Writing files atomically, and by one job at a time."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import stat
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

from . import regular_files
from .errors import CannotWrite, DiskFull, Speech2LipError
from .locks import Taken, locked

TEMPORARY = r"\.[0-9a-f]{8}\.partial"
"""Regular expression for the end of the names of files that are being written."""

_DISK_FULL_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_HINTS = {
    errno.ENAMETOOLONG: "Choose a shorter name.",
    errno.EINVAL: "Choose a name without special characters.",
    errno.EILSEQ: "Choose a name without special characters.",
}
_LONGEST_NAME = 255  # bytes, on nearly every file system
_WINDOWS = sys.platform == "win32"
_IMPOSSIBLE_IN_WINDOWS = re.compile(
    r'.*([<>:"|?*\x00-\x1f].*|[. ])|(CON|PRN|AUX|NUL|(COM|LPT)[0-9¹²³])\s*(\..*)?', re.I | re.S
)
"""Names that Windows refuses or interprets differently: as a stream, a device, or without the dot at the end."""
_LOCK, _UNFINISHED = ".s2l-lock", ".partial"


@contextmanager
def reserved(path: str, *sources: str, folder: bool = False, is_shared: bool = False) -> Iterator[None]:
    """Reserve an output for one job while it runs.

    If the output is a link, the link will be replaced, and its target will not be changed.

    Args:
        path: The file that the job writes.
        sources: Files that the job reads.
        folder: Whether the job writes a new folder instead.
        is_shared: Whether other parts of the job may run at the same time, if they share the output, too.

    Raises:
        CannotWrite: Another job is writing the file; or it is one of the sources, a folder, a device, a pipe, a socket
            or a write-protected file; or, for a new folder, the name is taken; or the parent folder is missing or not
            writable; or the file name is invalid.
        DiskFull: There is no space for a directory entry.
    """
    _refuse_taken_name(path) if folder else _refuse_irreplaceable(path, sources)
    with ExitStack() as held:
        try:
            held.enter_context(locked(companion(Path(path), _LOCK, hidden=True), is_shared))
        except Taken:
            hint = "Wait until that job has ended, or choose another output."
            raise CannotWrite(f"Another job is writing {path}.", hint) from None
        except OSError as error:
            raise refusal(path, error) from error
        yield


@contextmanager
def whole_file(
    path: str | Path, place: Path | None = None, lasting: bool = False, private: bool = False
) -> Iterator[BinaryIO]:
    """A temporary file to write and read, which is renamed to its destination if the context ends without an exception.

    Args:
        path: The destination. An earlier file remains until the renaming.
        place: Folder of the temporary file, on the same disk; None means beside the destination.
        lasting: Whether to flush the file to the disk before the renaming, so that it survives a loss of power. It
            takes longer.
        private: Whether only the user may read the file, from its first byte on.

    Raises:
        CannotWrite: The folder is missing or not writable, or the destination cannot be replaced, see :func:`reserved`.
        DiskFull: There is no space.
    """
    _refuse_irreplaceable(str(path), ())
    path = Path(path)
    partial = temporary_name((place or path.parent) / path.name)
    try:
        # Mode x fails if there is a file or link of this name.
        opener = _open_privately if private else None
        file = open(partial, "x+b", opener=opener)  # noqa: SIM115 (closed below)
    except OSError as error:
        raise refusal(path, error) from error
    try:
        yield file
        try:
            file.flush()
            if lasting:
                os.fsync(file.fileno())
            file.close()
            partial.replace(path)
        except OSError as error:
            raise refusal(path, error) from error
    except BaseException:
        with suppress(OSError):  # on a full disk, the buffer cannot be written either
            file.close()
        partial.unlink(missing_ok=True)
        raise


@contextmanager
def temporary_file(path: Path) -> Iterator[BinaryIO]:
    """A temporary file to write and read, beside a path, which is removed when the context ends.

    Raises:
        CannotWrite: The folder is missing or not writable.
        DiskFull: There is no space.
    """
    partial = temporary_name(path)
    try:
        file = partial.open("x+b")
    except OSError as error:
        raise refusal(path, error) from error
    try:
        yield file
    finally:
        with suppress(OSError):  # on a full disk, the buffer cannot be written either
            file.close()
        partial.unlink(missing_ok=True)


def write_whole(path: str, content: bytes, lasting: bool = True) -> None:
    """Write a file atomically, see :func:`whole_file`.

    Args:
        path: The destination.
        content: Content of the file.
        lasting: See :func:`whole_file`.

    Raises:
        CannotWrite, DiskFull: See :func:`whole_file`.
    """
    write_together({path: content}, lasting)


def write_together(contents: Mapping[str, bytes], lasting: bool = True) -> None:
    """Write several files, see :func:`whole_file`. No destination is replaced before all temporary files are written.

    Args:
        contents: Content of each file by its destination.
        lasting: See :func:`whole_file`.

    Raises:
        CannotWrite, DiskFull: See :func:`whole_file`.
    """
    with ExitStack() as files:
        for path, content in contents.items():
            file = files.enter_context(whole_file(path, lasting=lasting))
            try:
                file.write(content)
                file.flush()
            except OSError as error:
                raise refusal(path, error) from error


@contextmanager
def folder_for_results(path: str) -> Iterator[None]:
    """Make a folder and its parents if they are missing, and remove those that are still empty afterwards.

    Raises:
        CannotWrite: The folder cannot be made.
        DiskFull: There is no space.
    """
    made = [parent for parent in (Path(path), *Path(path).parents) if not os.path.lexists(parent)]
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        raise refusal(path, error) from error
    try:
        yield
    finally:
        with suppress(OSError):
            for folder in made:
                folder.rmdir()


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A temporary folder, which is removed with its content.

    Raises:
        CannotWrite: The folder cannot be made.
        DiskFull: There is no space.
    """
    with ExitStack() as held:
        try:
            folder = held.enter_context(TemporaryDirectory(prefix="speech2lip_", ignore_cleanup_errors=True))
        except OSError as error:
            problem = refusal("The folder of temporary files", error)
            problem.hint = "Set the variable TMPDIR to a folder that you can write to."
            raise problem from error
        yield Path(folder)


def remove_files(folder: Path, ours: str) -> None:
    """Remove the files of a folder whose names match a regular expression, and the folder if it is empty then.

    Other files remain, and links are not followed.

    Raises:
        OSError: A file cannot be removed.
    """
    if not os.path.lexists(folder) or not stat.S_ISDIR(folder.lstat().st_mode):
        return
    for path in list(folder.iterdir()):
        if re.fullmatch(ours, path.name) and not path.is_dir():
            path.unlink(missing_ok=True)
    with suppress(OSError):
        folder.rmdir()


def is_regular(path: Path) -> bool:
    """Whether a path is a regular file, and not a link, device or pipe."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def temporary_name(path: Path) -> Path:
    """An unpredictable name beside a path, for a file that is being written."""
    return companion(path, f".{secrets.token_hex(4)}{_UNFINISHED}")


def companion(path: Path, ending: str, hidden: bool = False) -> Path:
    """Path of a file beside another: its name with an ending, shortened with a hash if it would be too long."""
    name = f".{path.name}" if hidden else path.name
    encoded = os.fsencode(name)
    if len(encoded) + len(ending) > _LONGEST_NAME:
        digest = hashlib.blake2b(encoded, digest_size=8).hexdigest()
        kept = encoded[: _LONGEST_NAME - len(ending) - len(digest) - 1].decode("utf-8", "ignore")
        name = f"{kept}~{digest}"
    return path.with_name(f"{name}{ending}")


def state_of(path: str) -> tuple[int, int] | None:
    """Modification time in ns and size of a file; None if there is no such file."""
    if not regular_files.is_file(path):
        return None
    status = Path(path).stat()
    return status.st_mtime_ns, status.st_size


def refusal(path: str | Path, error: Exception) -> Speech2LipError:
    """The error for the user if ``path`` could not be written."""
    number = getattr(error, "errno", None)
    if number in _DISK_FULL_ERRORS:
        return DiskFull(f"The disk is full: {path} could not be written.")
    reason = getattr(error, "strerror", None) or error
    return CannotWrite(f"{path} cannot be written: {reason}.", _HINTS.get(number or 0, ""))


def _open_privately(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _refuse_irreplaceable(path: str, sources: tuple[str, ...]) -> None:
    """Raise CannotWrite if the file at a path cannot or should not be replaced."""
    there = _status(path)
    if there is None:
        return
    if stat.S_ISDIR(there.st_mode):
        raise CannotWrite(f"{path} is a folder.", "Choose the name of a file.")
    if not stat.S_ISREG(there.st_mode):
        raise CannotWrite(f"{path} is a device, a pipe or a socket.", "Choose the name of a file.")
    for source in sources:
        with suppress(OSError, ValueError):  # unreadable sources are reported when they are opened
            if os.path.samestat(Path(source).stat(), there):
                raise CannotWrite(f"{path} is an input of this job.", "Choose another output.")
    if not os.access(path, os.W_OK) or _is_protected_by_folder(Path(path), there):
        raise CannotWrite(f"{path} is write-protected.", "Choose another output, or make the file writable.")


def _is_protected_by_folder(path: Path, there: os.stat_result) -> bool:
    """Whether only others may replace the file, since its folder has the sticky bit, like ``/tmp``."""
    if sys.platform == "win32" or os.geteuid() == 0:
        return False
    folder = path.parent.stat()
    return bool(folder.st_mode & stat.S_ISVTX) and os.geteuid() not in (there.st_uid, folder.st_uid)


def _refuse_taken_name(path: str) -> None:
    """Raise CannotWrite if the name of a new folder is taken."""
    there = _status(path)
    if there is not None or Path(path).is_symlink():
        kind = "folder" if there is not None and stat.S_ISDIR(there.st_mode) else "file"
        raise CannotWrite(f"There is already a {kind} {path}.", "Choose the name of a folder that does not exist yet.")


def _status(path: str) -> os.stat_result | None:
    """Status of the file at a path, following links; None if there is none.

    Raises:
        CannotWrite: The file name is invalid.
    """
    name = Path(path).name
    if not name or (_WINDOWS and _IMPOSSIBLE_IN_WINDOWS.fullmatch(name)):
        raise CannotWrite(f"{path!r} is not a valid file name.", "Choose another name.")
    if name.endswith((_LOCK, _UNFINISHED)):
        raise CannotWrite(
            f"{path} ends in .partial or .s2l-lock, which are reserved for unfinished files.", "Choose another name."
        )
    try:
        return Path(path).stat()
    except FileNotFoundError:
        return None
    except ValueError:  # NUL characters or lone surrogates
        raise CannotWrite(f"{path!r} is not a valid file name.", "Choose another name.") from None
    except OSError as error:
        raise refusal(path, error) from error
