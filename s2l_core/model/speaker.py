"""A trained speaker and its file."""

from __future__ import annotations

from dataclasses import asdict, astuple, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch import Tensor, nn

from .. import json_text, regular_files, tensor_file
from ..canonical.regions import lip_shape_size
from ..canonical.view import CanonicalFace, from_description, to_description, to_tensors
from ..consent_ledger import refuse_ended
from ..errors import SpeakerFileBroken, SpeakerFileForeign, SpeakerFileNewer, SpeakerFileOlder
from ..face.layout import LAYOUTS
from ..face.tracking import KnownHead
from ..files import write_whole
from ..jobs import Architecture
from ..speech.encoder import SpeechEncoder
from ..speech.features import MEL_BANDS
from ..speech.silence import PauseBehaviour
from ..speech.sources import LOG_MEL
from ..version import synthetic_media
from . import exemplars
from .blend import BlendNet
from .exemplars import Exemplars
from .lip import ARCHITECTURES, LipModel
from .lip.base import SPOKEN_SIZE
from .look import LookModel, LookPixels
from .older_exemplars import with_outlines
from .origin import read_consent_hash
from .speaker_fields import (
    IDENTITY,
    KNOWN_HEAD,
    PORTRAIT,
    Kind,
    is_portrait,
    kind_of,
    read_known_head,
    read_pauses,
    refuse_misfits,
    stored_kind_of,
)

SCHEMA_VERSION = 8
OLDEST_SCHEMA = 5
"""Files of this schema have no exemplars, and call the architecture ``grids`` ``fast``."""
_PRIOR_SCHEMA, _PRIOR = 7, "lip.speech.prior"
"""First schema whose files have the tensors with this prefix, a regression that others do not use."""
_OUTLINE_SCHEMA = 8
"""First schema whose exemplars have outlines."""
_LATEST_SCHEMA = 999
_KEY = "speech2lip"
_LARGEST_FILE, _LONGEST_HEADER = 256_000_000, 16_000_000
"""Limits in bytes. A file has 5 to 25 MB, and a long header if it names all pictures of its footage."""
_LONGEST_NAME, _LONGEST_SOURCE, _MOST_BANDS = 1000, 4096, 4096
_DAMAGES = (
    *(AttributeError, IndexError, KeyError, OSError, OverflowError, RuntimeError, TypeError, ValueError),
    SafetensorError,
)
"""Exceptions that an invalid header or unreadable tensors raise."""


@dataclass
class SpeakerModel:
    """A trained speaker: everything that dubbing needs.

    Attributes:
        name: Name of the speaker.
        face: The canonical view.
        architecture: Architecture of the lip model.
        lip: Lip model: speech to canonical lips.
        look: Look model: colours around the mouth to an offset of the motion code.
        blend: Blend-Net that blends lips into a frame.
        head_blend: Blend-Net that inpaints what a turned head uncovers.
        known_head: Shape and camera with which the speaker's head is tracked in other footage.
        exemplars: Real mouths of the footage; None if the lip model renders the lips alone.
        pauses: Behaviour of the mouth in pauses.
        source: Name of the source of speech features, see :func:`s2l_core.speech.sources.open_source`.
        origin: The training: job without the record of consent, hash of that record, fingerprint and split of the
            footage, version, device. JSON values.
        metrics: Measures on the held-out footage, see :class:`s2l_core.results.HeldOutMeasures`. JSON values.
        identity: float64 (129,) descriptor of the speaker's face, see :mod:`s2l_core.face.identity`; None if the
            footage does not show it clearly.
        portrait: A small JPEG of the speaker's head; empty if there is none.
    """

    name: str
    face: CanonicalFace
    architecture: Architecture
    lip: LipModel
    look: LookModel
    blend: BlendNet
    head_blend: BlendNet
    known_head: KnownHead
    exemplars: Exemplars | None = None
    pauses: PauseBehaviour = field(default_factory=PauseBehaviour)
    source: str = LOG_MEL
    origin: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    portrait: bytes = b""
    identity: NDArray[np.floating] | None = None

    @classmethod
    def untrained(
        cls,
        name: str,
        face: CanonicalFace,
        known_head: KnownHead,
        lip_shape_size: int,
        architecture: Architecture = "grids",
        bands: int = MEL_BANDS,
        device: torch.device | str = "cpu",
    ) -> SpeakerModel:
        """A speaker with untrained networks of the sizes that a canonical view requires.

        Args:
            name: Name of the speaker.
            face: The canonical view.
            known_head: As in the attributes.
            lip_shape_size: Length of a lip shape, see :func:`s2l_core.canonical.regions.lip_shapes`.
            architecture: Architecture of the lip model.
            bands: Length of a row of speech features. For features other than log-mel, every architecture uses the same
                speech encoder.
            device: Device of the networks; on ``"meta"`` they take no memory.
        """
        box, pixels = face.lips.rectangle, LookPixels.of(face)
        surroundings, border = (3 * int(mask.sum()) for mask in (pixels.around, pixels.border))
        with torch.device(device):
            lip = ARCHITECTURES[architecture](box.width, box.height)
            if bands != MEL_BANDS:
                lip.speech = SpeechEncoder(SPOKEN_SIZE, bands)
            look = LookModel(surroundings, border, lip_shape_size, SPOKEN_SIZE)
            return cls(name, face, architecture, lip, look, BlendNet(), BlendNet(), known_head)

    @property
    def networks(self) -> dict[str, nn.Module]:
        return {"lip": self.lip, "look": self.look, "blend": self.blend, "head_blend": self.head_blend}

    @property
    def consent_hash(self) -> str:
        """Hash of the record of consent, see :attr:`s2l_core.consent_record.ConsentRecord.hash`; empty in the files of
        earlier versions.
        """
        return read_consent_hash(self.origin)

    def to(self, device: torch.device | str) -> SpeakerModel:
        """Move to a device, in place, and switch to evaluation mode."""
        self.face = self.face.to(device)
        if self.exemplars is not None:
            self.exemplars = self.exemplars.to(device)
        for network in self.networks.values():
            network.to(device).eval()
        return self

    def save(self, path: str) -> None:
        """Write an ``.s2l`` file: safetensors with a JSON header that includes a checksum of the whole file.

        Raises:
            CannotWrite, DiskFull: See :func:`s2l_core.files.write_whole`.
        """
        header = {
            "schema": SCHEMA_VERSION,
            "name": self.name,
            "face": to_description(self.face),
            "known_head": {"camera": astuple(self.known_head.intrinsics), "file": self.known_head.file},
            "exemplars": None if self.exemplars is None else exemplars.to_description(self.exemplars),
            "pauses": asdict(self.pauses),
            "architecture": self.architecture,
            "lip_shape_size": len(self.look.shape.mean),
            "source": self.source,
            "origin": self.origin,
            "metrics": self.metrics,
        }
        # Depths stay float32: 16 bits resolve half a millimetre, which would be visible as steps on a mesh.
        stored = self._others()
        for name, tensor in self._states().items():
            stored[name] = tensor.detach().cpu().contiguous().to(stored_kind_of(tensor).dtype)
        if self.identity is not None:
            stored[IDENTITY] = torch.from_numpy(np.asarray(self.identity, np.float32))
        if self.portrait:
            stored[PORTRAIT] = torch.frombuffer(bytearray(self.portrait), dtype=torch.uint8)
        write_whole(path, tensor_file.pack(stored, _KEY, header))

    def synthetic_media(self, part: str) -> str:
        """The comment in a file that shows a generated part of this speaker, e.g. ``"lips"``."""
        return synthetic_media(f"generated {part} of {self.name}")

    @classmethod
    def load(cls, path: str, device: torch.device | str = "cpu") -> SpeakerModel:
        """Read an ``.s2l`` file; nothing in it is trusted.

        Raises:
            FileMissing: There is no such file.
            SpeakerFileForeign: The file is not a speaker file.
            SpeakerFileNewer: A later version wrote the file.
            SpeakerFileOlder: An earlier version with different networks wrote the file.
            SpeakerFileBroken: The file is truncated or damaged.
            ConsentRevoked, ConsentExpired: The ledger beside the file says that the person's consent has ended.
            ConsentUnreadable: The ledger cannot be read.
        """
        fields, text = _read_header(path)
        try:
            if Path(path).stat().st_size > _LARGEST_FILE:
                raise ValueError("it is too large")
            # Memory-mapped: tensors that are not read take no memory.
            stored = safetensors.torch.load_file(path, device="cpu")
            has_lattice = fields["exemplars"] is not None and fields["schema"] < _OUTLINE_SCHEMA
            tensors = with_outlines(fields, stored) if has_lattice else stored
            speaker = cls._described(fields, tensors)
            wanted = {name: stored_kind_of(tensor) for name, tensor in speaker._states().items()}
            wanted |= {name: kind_of(tensor) for name, tensor in speaker._others().items()}
            added = {}
            if fields["schema"] < _PRIOR_SCHEMA:
                names = [name for name in wanted if name.startswith(_PRIOR)]
                added = {name: torch.zeros(wanted.pop(name).shape) for name in names}
            refuse_misfits(tensors, wanted)
            if tensor_file.CHECKSUM in fields:  # files of earlier versions have none
                tensor_file.refuse_damage(text, fields[tensor_file.CHECKSUM], stored)
            speaker._take(tensors | added)
        except _DAMAGES as error:
            raise _broken(path) from error
        refuse_ended(path, speaker.consent_hash)
        return speaker.to(device)

    @classmethod
    def _described(cls, fields: dict[str, Any], tensors: dict[str, Tensor]) -> SpeakerModel:
        """The speaker that a file describes, with networks on the device ``"meta"``. Raises one of ``_DAMAGES``."""
        (bands,) = tensors["lip.speech.silence"].shape
        name, source, shape_size = fields["name"], fields["source"], fields["lip_shape_size"]
        if not (json_text.is_text(name, _LONGEST_NAME) and json_text.is_text(source, _LONGEST_SOURCE)):
            raise ValueError("not a name")
        if not 1 <= bands <= _MOST_BANDS or shape_size not in map(lip_shape_size, LAYOUTS.values()):
            raise ValueError("not a size")
        face, known_head = from_description(fields["face"], tensors), read_known_head(fields["known_head"], tensors)
        speaker = cls.untrained(name, face, known_head, shape_size, fields["architecture"], bands, device="meta")
        if fields["exemplars"] is not None:
            speaker.exemplars = exemplars.from_description(fields["exemplars"], tensors)
            if 2 * len(speaker.exemplars.outline) != shape_size:
                raise ValueError("outlines of other lips")
        if (speaker.exemplars is None) == (speaker.architecture == "exemplars"):
            raise ValueError("an architecture without its exemplars, or exemplars that it does not use")
        speaker.pauses, speaker.source = read_pauses(fields["pauses"]), source
        speaker.origin, speaker.metrics = dict(fields["origin"]), dict(fields["metrics"])
        return speaker

    def _states(self) -> dict[str, Tensor]:
        """Tensors of the networks, by their names in a file."""
        return {
            f"{prefix}.{name}": tensor
            for prefix, network in self.networks.items()
            for name, tensor in network.state_dict(keep_vars=True).items()
        }

    def _others(self) -> dict[str, Tensor]:
        """Tensors of a file that do not belong to a network."""
        head = {f"known_head.{name}": torch.from_numpy(getattr(self.known_head, name)) for name in KNOWN_HEAD}
        face = {name: tensor.detach().cpu().contiguous() for name, tensor in to_tensors(self.face).items()}
        return head | face | ({} if self.exemplars is None else exemplars.to_tensors(self.exemplars))

    def _take(self, tensors: dict[str, Tensor]) -> None:
        """Load the weights of the networks, the portrait and the identity from the tensors of a file."""
        if PORTRAIT in tensors:
            self.portrait = tensors[PORTRAIT].numpy().tobytes()
        if IDENTITY in tensors:
            self.identity = tensors[IDENTITY].double().numpy()
        for prefix, network in self.networks.items():
            begin = f"{prefix}."
            kinds = {name: value.dtype for name, value in network.state_dict().items()}
            state = {name.removeprefix(begin): value for name, value in tensors.items() if name.startswith(begin)}
            # Module.to_empty would import SymPy, which takes half a second.
            state = {name: value.to(kinds[name], copy=True) for name, value in state.items()}
            network.load_state_dict(state, assign=True)


def read_header(path: str) -> dict[str, Any]:
    """The JSON header of an ``.s2l`` file, without its tensors.

    Raises:
        FileMissing, SpeakerFileForeign, SpeakerFileNewer, SpeakerFileOlder: As :meth:`SpeakerModel.load`.
        SpeakerFileBroken: The header is truncated or damaged.
    """
    return _read_header(path)[0]


def read_portrait(path: str) -> bytes:
    """Read the portrait of an ``.s2l`` file, a JPEG, without the rest of the file; empty if there is none.

    Raises:
        FileMissing, SpeakerFileForeign, SpeakerFileBroken: As :func:`read_header`.
    """
    with regular_files.opened(path) as file:
        header = _header_of(file, path)
        listed = header.listing.get(PORTRAIT)
        if listed is None:
            return b""
        if not is_portrait(Kind(listed.dtype, listed.shape)):
            raise _broken(path)
        file.seek(listed.begin)
        portrait = file.read(listed.end - listed.begin)
    if len(portrait) != listed.end - listed.begin:
        raise _broken(path)
    return portrait


def _read_header(path: str) -> tuple[dict[str, Any], str]:
    """The fields of a header, and its text; errors as :func:`read_header`."""
    with regular_files.opened(path) as file:
        text = _header_of(file, path).text
    try:
        fields = dict(json_text.parse(text))
        schema = fields["schema"]
    except (KeyError, TypeError, ValueError) as error:
        raise _broken(path) from error
    if type(schema) is not int or not 0 < schema <= _LATEST_SCHEMA:
        raise _broken(path)
    if schema > SCHEMA_VERSION:
        raise SpeakerFileNewer(f"{path} has schema {schema}; this version reads {SCHEMA_VERSION}.")
    if schema < OLDEST_SCHEMA:
        raise SpeakerFileOlder(f"{path} has schema {schema}; this version reads {OLDEST_SCHEMA} to {SCHEMA_VERSION}.")
    if schema == OLDEST_SCHEMA:
        fields["exemplars"] = None
        if fields.get("architecture") == "fast":
            fields["architecture"] = "grids"
    return fields, text


def _header_of(file: BinaryIO, path: str) -> tensor_file.Header:
    """The header of an open file; errors as :func:`read_header`."""
    try:
        return tensor_file.read_header(file, _KEY, _LONGEST_HEADER)
    except tensor_file.ForeignFile as error:
        raise SpeakerFileForeign(f"{path} is not a speaker file.") from error
    except (OSError, ValueError) as error:
        raise _broken(path) from error


def _broken(path: str) -> SpeakerFileBroken:
    return SpeakerFileBroken(f"{path} is cut short or damaged.")
