"""Blender's window as a user sees and controls it: text recognition on the screen, a mouse and a keyboard."""

from __future__ import annotations

import csv
import io
import math
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from . import chroot

WIDTH, HEIGHT, TOP, SIDEBAR = 1920, 1440, 640, 1505
_DISPLAY = ":77"
_MAGNIFICATION = 3  # improves the recognition of small letters
_LOOK_SECONDS, _MOST_LOOKS = 1.0, 200
_OPENING_SECONDS = 2.5  # in which a panel opens, and those below it move
_LEAST_CHANGE, _LEAST_COLOUR = 1.0, 20.0  # in code values, on average
_ANYWHERE, _AS_LINES = "11", "6"  # tesseract's page segmentation modes

Box = tuple[float, float, float, float]
"""Left, top, right and bottom in pixels."""


@dataclass(frozen=True)
class Word:
    """A word on the screen, with the position of its centre in pixels."""

    text: str
    x: float
    y: float
    line: tuple[str, ...]


class NotSeen(AssertionError):
    """An expected text or picture is not on the screen."""


@dataclass(frozen=True)
class Window:
    """A screen with one window.

    Attributes:
        pictures: Folder of the screenshots.
    """

    pictures: Path

    def picture(self, name: str) -> Path:
        """Save a screenshot."""
        path = self.pictures / f"{name}.png"
        with path.open("wb") as file:
            script = "xwd -root -silent | convert xwd:- png:-"
            subprocess.run(_inside(["sh", "-c", script]), stdout=file, check=True)
        return path

    def words(self) -> list[Word]:
        """All words on the screen below ``TOP``, where the sequencer is, line by line. The sidebar is read a second
        time as lines of text, since the first pass misses some of its progress bars.
        """
        screen = cv2.cvtColor(self.pixels(), cv2.COLOR_BGR2GRAY)
        return _read(screen, 0, TOP, _ANYWHERE) + _read(screen, SIDEBAR, TOP, _AS_LINES)

    def pixels(self) -> NDArray[np.uint8]:
        """The screen, uint8 (HEIGHT, WIDTH, 3)."""
        raw = subprocess.run(
            _inside(["sh", "-c", "xwd -root -silent | convert xwd:- ppm:-"]), capture_output=True, check=True
        )
        return np.asarray(cv2.imdecode(np.frombuffer(raw.stdout, np.uint8), cv2.IMREAD_COLOR))

    def see_change(self, before: NDArray[np.uint8], box: Box, seconds: float = 20.0) -> None:
        """Wait until a part of the screen has changed; raises :class:`NotSeen` if it does not."""
        self._see_part(box, seconds, lambda part: cv2.absdiff(part, _part(before, box)).mean() > _LEAST_CHANGE)

    def see_picture(self, box: Box, seconds: float = 20.0) -> None:
        """Wait until a part of the screen is more colourful than buttons and text; may raise :class:`NotSeen`."""
        self._see_part(box, seconds, lambda part: np.ptp(part, axis=-1).mean() > _LEAST_COLOUR)

    def _see_part(self, box: Box, seconds: float, is_there: Callable[[NDArray[np.uint8]], bool]) -> None:
        end = time.monotonic() + seconds
        while not is_there(_part(self.pixels(), box)):
            if time.monotonic() > end:
                self.picture("not_seen")
                raise NotSeen(f"The expected change at {box} did not happen")
            time.sleep(_LOOK_SECONDS)

    def find(self, phrase: str) -> list[tuple[float, float]]:
        """The centres of all places on the screen that show a phrase, from top to bottom."""
        wanted, words = [_bare(word) for word in phrase.split()], self.words()
        found = []
        for place in range(len(words) - len(wanted) + 1):
            part = words[place : place + len(wanted)]
            is_one_line = len({word.line for word in part}) == 1
            if is_one_line and [_bare(word.text) for word in part] == wanted:
                found.append((sum(w.x for w in part) / len(part), sum(w.y for w in part) / len(part)))
        return sorted(found, key=lambda place: place[1])

    def see(self, phrase: str, seconds: float = 20.0) -> tuple[float, float]:
        """Wait until a phrase is on the screen, and return its position.

        Raises:
            NotSeen: The phrase does not appear.
        """
        end = time.monotonic() + seconds
        while True:
            if found := self.find(phrase):
                return found[0]
            if time.monotonic() > end:
                self.picture("not_seen")
                raise NotSeen(f"{phrase!r} is not on the screen: {' '.join(word.text for word in self.words())}")
            time.sleep(max(_LOOK_SECONDS, seconds / _MOST_LOOKS))  # each reading takes seconds

    def click(self, phrase: str, seconds: float = 20.0) -> None:
        """Click a phrase: the occurrence nearest to the mouse, since menus open under it."""
        self.see(phrase, seconds)
        here = self._position()
        self.click_at(*min(self.find(phrase), key=lambda place: math.dist(place, here)))

    def click_at(self, x: float, y: float) -> None:
        """Move the mouse to a position in two steps, and click."""
        for step in (4, 0):  # a button is highlighted when the mouse moves over it
            self._mouse("mousemove", str(round(x) + step), str(round(y)))
            time.sleep(0.2)
        self._mouse("click", "1")
        time.sleep(0.5)

    def click_panel(self, name: str) -> None:
        """Open or close a panel of the sidebar by its heading, which begins further left than anything in panels."""
        self.see(name)
        self.click_at(*min(place for place in self.find(name) if place[0] > SIDEBAR))
        time.sleep(_OPENING_SECONDS)

    def rest_on(self, phrase: str) -> None:
        """Move the mouse to a phrase."""
        self._mouse("mousemove", *(str(round(value)) for value in self.see(phrase)))
        time.sleep(0.5)

    def press(self, key: str) -> None:
        """Press a key with the mouse at its position."""
        self._mouse("key", key)
        time.sleep(0.5)

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Press the mouse button at one place, and release it at another one."""
        self._mouse("mousemove", *(str(round(value)) for value in start))
        self._mouse("mousedown", "1")
        for step in range(1, 11):
            between = [a + (b - a) * step / 10 for a, b in zip(start, end, strict=True)]
            self._mouse("mousemove", *(str(round(value)) for value in between))
            time.sleep(0.1)
        self._mouse("mouseup", "1")

    def _mouse(self, *words: str) -> str:
        return subprocess.run(_inside(["xdotool", *words]), capture_output=True, text=True, check=True).stdout

    def _position(self) -> tuple[float, float]:
        found = re.match(r"x:(\d+) y:(\d+)", self._mouse("getmouselocation"))
        return (float(found[1]), float(found[2])) if found else (0.0, 0.0)


@contextmanager
def opened(pictures: Path, script: Path, log: Path, **environment: str) -> Iterator[Window]:
    """Run Blender with factory settings on a virtual screen, prepared by a script.

    Args:
        pictures: Folder for screenshots.
        script: Script that Blender runs when it starts.
        log: File for Blender's output.
        environment: Environment variables of Blender.
    """
    screen = ["Xvfb", _DISPLAY, "-screen", "0", f"{WIDTH}x{HEIGHT}x24"]
    geometry = ["-p", "0", "0", str(WIDTH), str(HEIGHT)]
    blender = ["blender", "--factory-startup", "--offline-mode", *geometry, "--python", str(script)]
    variables = {"HOME": "/project", "LIBGL_ALWAYS_SOFTWARE": "1", **environment}
    with log.open("w") as file, subprocess.Popen(chroot.command(screen), stderr=subprocess.DEVNULL) as server:
        time.sleep(2.0)
        program = subprocess.Popen(_inside(blender, **variables), stdout=file, stderr=subprocess.STDOUT)
        try:
            yield Window(pictures)
        finally:
            program.kill()
            program.wait()
            server.kill()


def _part(screen: NDArray[np.uint8], box: Box) -> NDArray[np.uint8]:
    left, top, right, bottom = (round(edge) for edge in box)
    return screen[top:bottom, left:right]


def _bare(word: str) -> str:
    """A word in lower case, without punctuation."""
    return re.sub(r"[^\w%.]", "", word.lower())


def _read(screen: NDArray[np.uint8], left: int, top: int, layout: str) -> list[Word]:
    """Recognise the words of a screen (H, W) right of ``left`` and below ``top`` by tesseract in a page segmentation
    mode.
    """
    large = cv2.resize(screen[top:, left:], None, fx=_MAGNIFICATION, fy=_MAGNIFICATION, interpolation=cv2.INTER_CUBIC)
    # Black letters on white, for buttons of any shade.
    letters = cv2.adaptiveThreshold(large, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY_INV, 45, -13)
    # Next to Blender and its engine, a second thread would only make both wait.
    command = _inside(["tesseract", "-", "-", "--psm", layout, "tsv"], OMP_THREAD_LIMIT="1")
    picture = cv2.imencode(".png", letters)[1].tobytes()
    told = subprocess.run(command, input=picture, capture_output=True, check=True).stdout.decode()
    rows = csv.DictReader(io.StringIO(told), delimiter="\t", quoting=csv.QUOTE_NONE)
    return [
        Word(
            row["text"],
            left + (int(row["left"]) + int(row["width"]) / 2) / _MAGNIFICATION,
            top + (int(row["top"]) + int(row["height"]) / 2) / _MAGNIFICATION,
            (layout, row["block_num"], row["par_num"], row["line_num"]),
        )
        for row in rows
        if row["text"] and row["text"].strip()
    ]


def _inside(words: list[str], **environment: str) -> list[str]:
    return chroot.command(words, DISPLAY=_DISPLAY, **environment)
