"""How dubs, stills and poses are rendered: in chunks, which several processes may share.

Such a job has four phases: its files are opened, the whole clip is looked at, frames are rendered, and the chunks are
joined. The verb does all of them; a task of a plan (``s2l_core/farm``) only one of the last three.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol

from ..credentials.claim import Claim
from ..events import Report
from ..jobs import Encoding
from ..media.chunks import Chunks
from ..media.planes import Planes
from ..media.raster import ColourTags, Picture, Raster
from ..media.waveform import Waveform

CHUNK = 128
"""Frames per chunk, about five seconds. An interrupted run loses one chunk at most."""


@dataclass(frozen=True)
class Form:
    """What the result of a job is like.

    Attributes:
        path: The file, or the folder of pictures, to write.
        encoding: File format.
        raster: Storage format of the source.
        colour: Colour tags of the source.
        width: Width in pixels.
        height: Height in pixels.
        rate: Frames per second.
        count: Number of frames.
        sound: The sound, if there is any.
        comment: Says that the result is synthetic media.
        identity: JSON values that determine the frames; see :func:`s2l_core.fingerprints.by_content`.
    """

    path: str
    encoding: Encoding
    raster: Raster
    colour: ColourTags
    width: int
    height: int
    rate: Fraction
    count: int
    sound: Waveform | None
    comment: str
    identity: dict[str, Any]


class Divided(Protocol):
    """A job whose files are open. Each frame is determined by the job, not by which other frames are rendered.

    Attributes:
        phase: Name of the phase in which frames are rendered.
        between_reports: Number of frames between two reports of the progress.
        form: What the result is like.
    """

    phase: str
    between_reports: int
    form: Form

    def look(self, report: Report) -> None:
        """Look at the whole clip, before any frame is rendered. Another process may have done so in the same shared
        folder, see :func:`s2l_core.cache.shared_in`.
        """

    def read(self, frames: range) -> Generator[Picture | Planes, None, None]:
        """Render some of the frames as they are written, with a few of them in memory at a time."""

    def claim(self) -> Claim:
        """What the content credentials of the result say, after the look."""


@dataclass(frozen=True)
class Rendered:
    """What became of a job.

    Attributes:
        written: Number of frames of the result.
        resumed: Number of frames that earlier runs had written.
        seconds: Time from the look at the clip to the joined result.
        credentials: A sentence: how the result is signed, or why it is not; empty before joining.
    """

    written: int
    resumed: int
    seconds: float
    credentials: str = ""

    @property
    def fps(self) -> float:
        """Frames per second that this run rendered."""
        return (self.written - self.resumed) / self.seconds


def finish(
    job: Divided, report: Report, before_joining: Callable[[Rendered], None] = lambda rendered: None
) -> Rendered:
    """Look at the clip, render and encode the chunks that earlier runs have not written, and join all of them to a
    signed result.

    The output must be reserved, see :func:`s2l_core.media.chunks.reserved_result`.

    Args:
        job: The job.
        report: Receives the progress.
        before_joining: Called when all chunks are there.
    """
    started, form = time.monotonic(), job.form
    job.look(report)
    chunks = open_chunks(job)
    resumed = form.count - sum(map(len, chunks.missing))
    render(job, chunks, range(form.count), report)
    before_joining(Rendered(form.count, resumed, time.monotonic() - started))
    credentials = chunks.join(form.rate, form.sound, form.comment, job.claim())
    return Rendered(form.count, resumed, time.monotonic() - started, credentials)


def open_chunks(job: Divided, is_shared: bool = False) -> Chunks:
    """The chunks of a job, see :class:`s2l_core.media.chunks.Chunks`."""
    form = job.form
    return Chunks(form.path, form.count, CHUNK, form.encoding, form.identity, form.raster, is_shared)


def render(job: Divided, chunks: Chunks, frames: range, report: Report) -> None:
    """Render and encode those chunks that begin with one of some frames and are missing."""
    form, missing = job.form, chunks.missing_in(frames)
    total = sum(map(len, chunks.within(frames)))
    written = total - sum(map(len, missing))
    for run in _runs(missing):
        with closing(job.read(range(run[0].start, run[-1].stop))) as pictures:
            for chunk in run:
                with chunks.writer(chunk, form.width, form.height, form.rate, form.colour) as writer:
                    for number, picture in enumerate(itertools.islice(pictures, len(chunk))):
                        if number % job.between_reports == 0:
                            report.progress(job.phase, written, total)
                        writer.write(picture)
                        written += 1
    report.progress(job.phase, total, total)


def _runs(chunks: list[range]) -> list[list[range]]:
    """Chunks in order as runs without gaps, which are decoded without seeking: that would take as long as decoding the
    frames since the last key frame.
    """
    runs: list[list[range]] = []
    for chunk in chunks:
        if runs and runs[-1][-1].stop == chunk.start:
            runs[-1].append(chunk)
        else:
            runs.append([chunk])
    return runs
