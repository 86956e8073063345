"""A chroot of Debian with the newest Blender, a virtual screen, and text recognition."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

FOLDER = Path(tempfile.gettempdir()) / "speech2lip-window"
PACKAGES = (
    "blender xvfb xdotool x11-apps imagemagick ffmpeg libgl1-mesa-dri libegl1 tesseract-ocr tesseract-ocr-eng "
    # without these its extensions do not load
    "python3-numpy python3-requests python3-zstandard python3-cattr"
)
_READY = "speech2lip-ready"


class Unavailable(Exception):
    """The chroot cannot be created on this machine; the message says why."""


def make() -> None:
    """Make the chroot unless it exists, which takes some minutes and two gigabytes.

    Raises:
        Unavailable: There is no root access or no mirror of Debian, or the folder belongs to another user.
    """
    if os.path.lexists(FOLDER) and (FOLDER.is_symlink() or FOLDER.stat().st_uid != os.geteuid()):
        raise Unavailable(f"{FOLDER} belongs to another user")
    if (FOLDER / _READY).exists():
        return
    if os.geteuid() != 0:
        raise Unavailable("only root can make a chroot")
    if not (mirror := _mirror()):
        raise Unavailable("apt has no mirror of Debian configured")
    if not shutil.which("debootstrap"):
        _run(["apt-get", "install", "-y", "debootstrap"])
    print("Making a chroot with Blender: this downloads half a gigabyte, once.", flush=True)
    _run(["debootstrap", "--variant=minbase", "sid", str(FOLDER), mirror])
    shutil.copy("/etc/resolv.conf", FOLDER / "etc")
    for file in Path("/etc/apt/apt.conf.d").iterdir():
        shutil.copy(file, FOLDER / "etc/apt/apt.conf.d")
    with mounted([]):
        install = f"apt-get update && apt-get install -y --no-install-recommends {PACKAGES}"
        _run(["chroot", str(FOLDER), "sh", "-c", f"export DEBIAN_FRONTEND=noninteractive; {install}"])
    (FOLDER / _READY).touch()


@contextmanager
def mounted(folders: Sequence[Path]) -> Iterator[None]:
    """Mount /proc, /dev and some folders of this machine in the chroot, at the same paths."""
    wanted = [(["-t", "proc", "proc"], Path("/proc")), (["--bind", "/dev"], Path("/dev"))]
    wanted += [(["--bind", str(folder)], folder) for folder in folders]
    done: list[Path] = []
    try:
        for options, folder in wanted:
            inside = FOLDER / folder.relative_to("/")
            inside.mkdir(parents=True, exist_ok=True)
            if not os.path.ismount(inside):
                _run(["mount", *options, str(inside)])
                done.append(inside)
        yield
    finally:
        for inside in reversed(done):
            subprocess.run(["umount", "--lazy", inside], check=False)


def command(words: Sequence[str], **environment: str) -> list[str]:
    """The arguments of a command that runs inside of the chroot."""
    return ["chroot", str(FOLDER), "env", *(f"{name}={value}" for name, value in environment.items()), *words]


def _mirror() -> str:
    """The first mirror that apt uses; comments may name others."""
    for file in sorted(Path("/etc/apt").rglob("*.sources")) + sorted(Path("/etc/apt").rglob("*.list")):
        if found := re.search(r"^[^#\n]*?(https?://\S+)", file.read_text(), re.MULTILINE):
            return found[1]
    return ""


def _run(words: Sequence[str]) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unavailable(f"{words[0]} said: {(done.stderr or done.stdout).strip()[-300:]}")
