"""What the credentials of a result say, as the definition of a C2PA manifest.

Names of actions, assertions and sources are those of the C2PA specification 2.x and of IPTC's digital source types.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..version import VERSION

Synthesis = Literal["compositeWithTrainedAlgorithmicMedia", "trainedAlgorithmicMedia"]

SOFTWARE = "Speech2Lip"
RECORD = "org.speech2lip.record"
"""Label of our own assertion: the part that was generated, the hash of the consent, and the hashes of the sources."""
_SYNTHESES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
_MOST_RUNS, _MOST_SOURCES = 1000, 100
_MAIN, _OTHER = "source", "part"

Run = tuple[int, int]


@dataclass(frozen=True)
class Source:
    """A file, or a folder of pictures, from which a result was made.

    Attributes:
        path: Where it is.
        fingerprint: Hash of its content as hexadecimal digits; empty if it is not known.
    """

    path: str
    fingerprint: str = ""

    @property
    def title(self) -> str:
        """Its name without folders."""
        return Path(self.path).name or self.path


@dataclass(frozen=True)
class Claim:
    """What the credentials of a result say, besides the software that made it.

    Attributes:
        part: What was generated, such as ``"lips"``.
        opened: What was changed: footage or a picture.
        placed: What else is in the result, such as the voice.
        consent: Hash of the record of consent, as hexadecimal digits; empty if there is none.
        frames: First and last number of each run of frames that were changed, from 0; empty means all of them.
        box: Left, top, right and bottom, in pixels of the result, of the rectangle outside of which nothing was changed
            before encoding; None means the whole picture.
        synthesis: IPTC's digital source type of the change; None if nothing was changed.
    """

    part: str
    opened: tuple[Source, ...]
    placed: tuple[Source, ...] = ()
    consent: str = ""
    frames: tuple[Run, ...] = ()
    box: tuple[int, int, int, int] | None = None
    synthesis: Synthesis | None = "compositeWithTrainedAlgorithmicMedia"

    @property
    def ingredients(self) -> list[tuple[str, str, Source]]:
        """Identifier, relationship and source of each ingredient. One of them at most is the parent."""
        others = [*self.opened[1:], *self.placed][:_MOST_SOURCES]
        parents = [(_MAIN, "parentOf", source) for source in self.opened[:1]]
        return parents + [(f"{_OTHER}{number}", "componentOf", source) for number, source in enumerate(others)]

    def definition(self, media_type: str, content: str) -> dict[str, Any]:
        """The definition of the manifest, without ingredients. Identifiers follow from what it says and from the
        content, so that the same result has the same ones, under any name.

        Args:
            media_type: MIME type of the result.
            content: Hash of the result without credentials.
        """
        said = {
            "claim_generator_info": [{"name": SOFTWARE, "version": VERSION}],
            "format": media_type,
            "assertions": [
                {"label": "c2pa.actions.v2", "data": {"actions": self._actions()}},
                {"label": RECORD, "data": self._record()},
            ],
        }
        seed = json.dumps([said, content], sort_keys=True).encode()
        return said | {
            "label": f"urn:c2pa:{_identifier(seed, b'manifest')}",
            "instance_id": f"xmp:iid:{_identifier(seed, b'instance')}",
        }

    def _actions(self) -> list[dict[str, Any]]:
        names = [name for name, _, _ in self.ingredients]
        actions: list[dict[str, Any]] = []
        how = {"digitalSourceType": _SYNTHESES + self.synthesis} if self.synthesis else {}
        if self.opened:
            actions.append({"action": "c2pa.opened", "parameters": {"ingredientIds": names[:1]}})
        else:
            actions.append({"action": "c2pa.created"} | how)
        if others := names[len(self.opened[:1]) :]:
            actions.append({"action": "c2pa.placed", "parameters": {"ingredientIds": others}})
        if self.synthesis and self.opened:
            where = {"changes": [{"region": regions}]} if (regions := self._regions()) else {}
            actions.append({"action": "c2pa.edited"} | how | where)
        return actions

    def _regions(self) -> list[dict[str, Any]]:
        """The regions of interest: frames, and a rectangle in each of them."""
        runs = self.frames if len(self.frames) <= _MOST_RUNS else ((self.frames[0][0], self.frames[-1][1]),)
        regions: list[dict[str, Any]] = [
            {"type": "frame", "frame": {"start": first, "end": last}} for first, last in runs
        ]
        if self.box is not None:
            left, top, right, bottom = self.box
            shape = {
                "type": "rectangle",
                "unit": "pixel",
                "origin": {"x": float(left), "y": float(top)},
                "width": float(right - left),
                "height": float(bottom - top),
            }
            regions.append({"type": "spatial", "shape": shape})
        return regions

    def _record(self) -> dict[str, Any]:
        hashed = [source for _, _, source in self.ingredients if source.fingerprint]
        record: dict[str, Any] = {
            "part": self.part,
            "sources": [{"title": source.title, "hash": source.fingerprint} for source in hashed],
        }
        return record | ({"consent": self.consent} if self.consent else {})


def source_instance(source: Source) -> str:
    """The identifier of an ingredient, which follows from its name and content."""
    return f"xmp:iid:{_identifier(json.dumps([source.title, source.fingerprint]).encode(), b'source')}"


def _identifier(seed: bytes, kind: bytes) -> uuid.UUID:
    return uuid.UUID(bytes=hashlib.sha256(kind + b"\0" + seed).digest()[:16], version=4)
