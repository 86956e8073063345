"""A trained speaker and its file."""

from __future__ import annotations

import json
from dataclasses import asdict, astuple, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch import Tensor, nn

from ..canonical import CanonicalFace, from_description, to_description, to_tensors
from ..errors import FileMissing, SpeakerFileBroken, SpeakerFileForeign, SpeakerFileNewer, SpeakerFileOlder
from ..face.identity import IDENTITY_SIZE
from ..face.tracking import KnownHead
from ..files import write_whole
from ..geometry.camera import Intrinsics
from ..jobs import Architecture
from ..speech.encoder import SpeechEncoder
from ..speech.features import MEL_BANDS
from ..speech.silence import Closing, PauseBehaviour
from ..speech.sources import LOG_MEL
from ..version import VERSION
from .blend import BlendNet
from .lip import ARCHITECTURES, LipModel
from .lip.base import SPOKEN_SIZE
from .look import LookModel, LookPixels

SCHEMA_VERSION = 5
_KEY = "speech2lip"
_PORTRAIT = "portrait"
_LONGEST_PAUSE, _LOWEST_DB = 10.0, -120.0
_KNOWN_HEAD = ("shape", "noise_px", "acceleration")
"""The arrays of a :class:`KnownHead`."""
_IDENTITY = "identity"
_LONGEST_HEADER = 16_000_000
_HALF_PRECISION_FROM = 10_000
"""Tensors of this many numbers are stored in 16 bits, which is finer than the 8 bits of a picture."""


@dataclass
class SpeakerModel:
    """Everything that dubbing needs of one speaker.

    Attributes:
        name: As the user calls the speaker.
        face: The canonical view.
        architecture: Of the lip model.
        lip: Speech to lips.
        look: Surroundings of the mouth to an offset of the lips' code.
        blend: Joins lips and frame.
        head_blend: Paints what a turned head uncovers.
        known_head: What the speaker's head is tracked by in other footage.
        pauses: How the mouth behaves where nobody speaks.
        source: Name of what gives the features of speech, see :func:`s2l_core.speech.sources.open_source`.
        origin: Where it comes from: training job, footage fingerprint, split of the footage, versions. JSON values.
        metrics: What was measured on the held-out footage. JSON values.
        identity: float (129,) by which the speaker's face is known, see :mod:`s2l_core.face.identity`; None where the
            footage did not show it clearly.
        portrait: A small JPEG of the speaker's head; nothing where there is none.
    """

    name: str
    face: CanonicalFace
    architecture: Architecture
    lip: LipModel
    look: LookModel
    blend: BlendNet
    head_blend: BlendNet
    known_head: KnownHead
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
        architecture: Architecture = "fast",
        bands: int = MEL_BANDS,
    ) -> SpeakerModel:
        """Networks of the sizes that a canonical view asks for.

        Args:
            name: Of the speaker.
            face: The canonical view.
            known_head: As in the attributes.
            lip_shape_size: Numbers in a lip shape, see :func:`s2l_core.regions.lip_shapes`.
            architecture: Of the lip model.
            bands: Numbers in a row of features of speech. Others than log-mel are heard in the same way by every
                architecture.
        """
        box = face.lips.rectangle
        lip = ARCHITECTURES[architecture](box.width, box.height)
        if bands != MEL_BANDS:
            lip.speech = SpeechEncoder(SPOKEN_SIZE, bands)
        pixels = LookPixels.of(face)
        surroundings, border = (3 * int(mask.sum()) for mask in (pixels.around, pixels.border))
        look = LookModel(surroundings, border, lip_shape_size, SPOKEN_SIZE)
        return cls(name, face, architecture, lip, look, BlendNet(), BlendNet(), known_head)

    @property
    def networks(self) -> dict[str, nn.Module]:
        return {"lip": self.lip, "look": self.look, "blend": self.blend, "head_blend": self.head_blend}

    def to(self, device: torch.device | str) -> SpeakerModel:
        """Move to a device, in place, and make ready for use."""
        self.face = self.face.to(device)
        for network in self.networks.values():
            network.to(device).eval()
        return self

    def save(self, path: str) -> None:
        """Write an ``.s2l`` file: safetensors with a JSON header.

        Raises:
            CannotWrite, DiskFull: See :func:`s2l_core.files.write_whole`.
        """
        tensors: dict[str, Tensor] = {}
        for prefix, network in self.networks.items():
            tensors |= {f"{prefix}.{name}": tensor for name, tensor in network.state_dict().items()}
        header = {
            "schema": SCHEMA_VERSION,
            "name": self.name,
            "face": to_description(self.face),
            "known_head": {"camera": astuple(self.known_head.intrinsics), "file": self.known_head.file},
            "pauses": asdict(self.pauses),
            "architecture": self.architecture,
            "lip_shape_size": len(self.look.shape.mean),
            "source": self.source,
            "origin": self.origin,
            "metrics": self.metrics,
        }
        stored = {name: _for_storage(tensor) for name, tensor in tensors.items()}
        # Half a millimetre, which is what 16 bits tell of a depth, would be seen as steps on a mesh.
        stored |= {name: tensor.detach().cpu().contiguous() for name, tensor in to_tensors(self.face).items()}
        stored |= {f"known_head.{name}": torch.from_numpy(getattr(self.known_head, name)) for name in _KNOWN_HEAD}
        if self.identity is not None:
            stored[_IDENTITY] = torch.from_numpy(np.asarray(self.identity, np.float32))
        if self.portrait:
            stored[_PORTRAIT] = torch.frombuffer(bytearray(self.portrait), dtype=torch.uint8)
        write_whole(path, safetensors.torch.save(stored, {_KEY: json.dumps(header)}))

    def synthetic_media(self, part: str) -> str:
        """What a file says of itself that shows a generated part of this speaker, e.g. ``"lips"``."""
        return f"Synthetic media: generated {part} of {self.name}, made with Speech2Lip {VERSION}"

    @classmethod
    def load(cls, path: str, device: torch.device | str = "cpu") -> SpeakerModel:
        """Read an ``.s2l`` file; nothing in it is trusted.

        Raises:
            FileMissing: There is no such file.
            SpeakerFileForeign: It is something else.
            SpeakerFileNewer: A later version wrote it.
            SpeakerFileOlder: An earlier version wrote it, whose networks were others.
            SpeakerFileBroken: It is cut short or damaged.
        """
        header = read_header(path)
        try:
            tensors = safetensors.torch.load_file(path, device="cpu")
            face = from_description(header["face"], tensors)
            shape_size, architecture = int(header["lip_shape_size"]), header["architecture"]
            bands = len(tensors["lip.speech.silence"])
            known_head = _known_head(header["known_head"], tensors)
            speaker = cls.untrained(str(header["name"]), face, known_head, shape_size, architecture, bands)
            for prefix, network in speaker.networks.items():
                length = len(prefix) + 1
                state = {name[length:]: value for name, value in tensors.items() if name.startswith(f"{prefix}.")}
                network.load_state_dict(state)
            speaker.pauses = _pauses(header["pauses"])
            speaker.source = str(header["source"])
            speaker.origin, speaker.metrics = dict(header["origin"]), dict(header["metrics"])
            speaker.portrait = _to_bytes(tensors[_PORTRAIT]) if _PORTRAIT in tensors else b""
            if _IDENTITY in tensors:
                speaker.identity = tensors[_IDENTITY].double().numpy().reshape(IDENTITY_SIZE)
        except (SafetensorError, OSError, KeyError, TypeError, ValueError, RuntimeError, OverflowError) as error:
            raise SpeakerFileBroken(f"{path} is cut short or damaged.") from error
        return speaker.to(device)


def read_header(path: str) -> dict[str, Any]:
    """The JSON header of an ``.s2l`` file, without its tensors.

    Raises:
        FileMissing, SpeakerFileForeign, SpeakerFileNewer, SpeakerFileOlder: As :meth:`SpeakerModel.load`.
        SpeakerFileBroken: The file ends inside its header.
    """
    if not Path(path).is_file():
        raise FileMissing(f"There is no file {path}.")
    with Path(path).open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        text = file.read(min(length, _LONGEST_HEADER))
    if not text.startswith(b'{"__metadata__":{"' + _KEY.encode()):
        raise SpeakerFileForeign(f"{path} is not a speaker file.")
    try:
        header = json.loads(json.loads(text)["__metadata__"][_KEY])
        schema = int(header["schema"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise SpeakerFileBroken(f"{path} is cut short or damaged.") from error
    if schema > SCHEMA_VERSION:
        raise SpeakerFileNewer(f"{path} has schema {schema}; this version reads {SCHEMA_VERSION}.")
    if schema < SCHEMA_VERSION:
        raise SpeakerFileOlder(f"{path} has schema {schema}; this version reads {SCHEMA_VERSION}.")
    return dict(header)


def read_portrait(path: str) -> bytes:
    """The JPEG of an ``.s2l`` file's speaker, without the rest of the file; nothing where there is none.

    Raises:
        SpeakerFileBroken: The file is cut short or damaged.
    """
    try:
        with safetensors.safe_open(path, "pt") as file:
            return _to_bytes(file.get_tensor(_PORTRAIT)) if _PORTRAIT in file.keys() else b""  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise SpeakerFileBroken(f"{path} is cut short or damaged.") from error


def _pauses(description: dict[str, Any]) -> PauseBehaviour:
    """The behaviour that a file describes.

    Raises:
        KeyError, TypeError, ValueError: The description is not one.
    """
    numbers = {name: float(value) for name, value in description["closing"].items()}
    level_db, silence_db = float(description["level_db"]), float(description["silence_db"])
    if not all(0.0 <= number <= _LONGEST_PAUSE for number in numbers.values()) or numbers["ramp"] == 0.0:
        raise ValueError("the closing is not one")
    if not (_LOWEST_DB <= level_db <= 0.0 and _LOWEST_DB <= silence_db <= 0.0):
        raise ValueError("the levels are not ones")
    return PauseBehaviour(level_db, Closing(**numbers), silence_db)


def _known_head(description: dict[str, Any], tensors: dict[str, Tensor]) -> KnownHead:
    """The head that a file describes.

    Raises:
        KeyError, TypeError, ValueError: The description is not one, or the tensors do not belong to it.
    """
    shape, noise, acceleration = (tensors[f"known_head.{name}"].double() for name in _KNOWN_HEAD)
    fx, fy, cx, cy, width, height = (float(value) for value in description["camera"])
    numbers = torch.cat([shape.flatten(), noise.flatten(), acceleration.flatten(), torch.tensor([fx, fy, cx, cy])])
    if shape.dim() != 2 or shape.shape[1] != 3 or acceleration.shape != (2,) or not numbers.isfinite().all():
        raise ValueError("the head is not one")
    camera = Intrinsics(fx, fy, cx, cy, int(width), int(height))
    return KnownHead(shape.numpy(), noise.numpy(), acceleration.numpy(), camera, str(description["file"]))


def _to_bytes(values: Tensor) -> bytes:
    return values.to(torch.uint8).numpy().tobytes()


def _for_storage(tensor: Tensor) -> Tensor:
    tensor = tensor.detach().cpu().contiguous()
    return tensor.half() if tensor.numel() >= _HALF_PRECISION_FROM else tensor
