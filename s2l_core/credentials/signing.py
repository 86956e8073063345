"""Signing results, as the last step before they get their names.

A movie or a picture that can carry credentials is signed into its final file; for another file and for a folder of
pictures they are written beside it. The same result, signed with the same key, is the same bytes, unless a server adds
the time or the key is RSA.
"""

from __future__ import annotations

import importlib.util
import io
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from ..errors import CannotWrite, DiskFull, SigningFailed, SigningKeyUnusable, Speech2LipError
from ..events import tell
from ..files import refusal, temporary_file, whole_file, write_whole
from .claim import Claim
from .listing import NOTICE, list_pictures
from .media_types import is_carrier, media_type, sidecar
from .repeatable import RecordingSigner, with_derived_salts
from .streams import Watched, hash_stream

if TYPE_CHECKING:
    from .identity import Identity

_NEEDED = ("c2pa", "cryptography")
_PNG_CHUNK = b"caBX"
_READ_BLOCK = 1 << 20
_TRIED = Claim("nothing", ())


class Signature:
    """The credentials that a result gets.

    Args:
        path: The result.
        claim: What its credentials say; None for a result without any.

    Attributes:
        sentence: How it is signed, or why it is not.

    Raises:
        SigningKeyUnusable: See :func:`refuse_unusable_key`.
    """

    def __init__(self, path: str | Path, claim: Claim | None) -> None:
        self._path, self._claim = Path(path), claim
        self._identity, self.sentence = _identity_or_reason() if claim is not None else (None, "")
        if self._identity is not None:
            owner = "the studio's key" if self._identity.owner == "studio" else "the key of this machine"
            self.sentence = f"Signed with {owner}."

    @contextmanager
    def into(self, file: BinaryIO, place: Path) -> Iterator[BinaryIO]:
        """Yield a file for the content of the result, which is signed when the context ends without an exception.

        Args:
            file: The result, empty and open for reading and writing. A result that cannot carry its credentials gets a
                file beside it before its context ends.
            place: Folder for a temporary file as large as the result.

        Raises:
            SigningFailed: It cannot be signed, such as when a server for time stamps does not answer.
            CannotWrite, DiskFull: See :func:`s2l_core.files.whole_file`.
        """
        if self._identity is None or self._claim is None:
            if self.sentence:
                tell("warning", self.sentence)
            yield file
        elif is_carrier(self._path):
            with temporary_file(place / self._path.name) as content:
                yield content
                _sign(content, file, self._path, self._claim, self._identity)
        else:
            yield file
            manifest = _sign(file, None, self._path, self._claim, self._identity)
            write_whole(str(sidecar(self._path)), manifest)

    def of_bytes(self, content: bytes) -> bytes:
        """The content of a small file with its credentials."""
        result = io.BytesIO()
        with self.into(result, Path()) as file:
            file.write(content)
        return result.getvalue()

    def write_notice(self, folder: Path, comment: str, pictures: Iterable[Path]) -> None:
        """Write the text file that says that the pictures of a folder are synthetic; with credentials, it lists their
        hashes, and is signed in a file beside it.
        """
        if self._identity is None or self._claim is None:
            if self.sentence:
                tell("warning", self.sentence)
            write_whole(str(folder / NOTICE), f"{comment}.\n".encode())
            return
        text = list_pictures(comment, pictures)
        manifest = _sign(io.BytesIO(text), None, folder / NOTICE, self._claim, self._identity)
        write_whole(str(sidecar(folder / NOTICE)), manifest)
        write_whole(str(folder / NOTICE), text)


def sign_in_place(path: Path, claim: Claim) -> str:
    """Sign a file that exists, and return how. Until it is signed, it remains as it is.

    Raises:
        SigningKeyUnusable, SigningFailed, CannotWrite, DiskFull: As :class:`Signature`.
        OSError: The file cannot be read.
    """
    signature = Signature(path, claim)
    identity = signature._identity
    if identity is None:
        tell("warning", signature.sentence)
    elif is_carrier(path):
        with whole_file(path) as signed, path.open("rb") as content:
            _sign(content, signed, path, claim, identity)
    else:
        with path.open("rb") as content:
            write_whole(str(sidecar(path)), _sign(content, None, path, claim, identity))
    return signature.sentence


def refuse_unusable_key() -> None:
    """Raise an error if the key of results cannot sign, before any work.

    Raises:
        SigningKeyUnusable: See :func:`s2l_core.credentials.identity.read_identity`; or the C2PA library refuses it.
    """
    identity, _ = _identity_or_reason()
    if identity is not None:
        _try(identity)


def _identity_or_reason() -> tuple[Identity | None, str]:
    """The key of results, or a sentence why they are not signed."""
    if missing := [name for name in _NEEDED if importlib.util.find_spec(name) is None]:
        return None, f"Not signed with content credentials: the package {missing[0]} is not installed."
    from .identity import read_identity  # it needs the packages

    try:
        return read_identity(), ""
    except (CannotWrite, DiskFull) as error:
        return None, f"Not signed with content credentials, since no key can be kept: {error.message}"


@lru_cache(maxsize=4)
def _try(identity: Identity) -> None:
    """Sign something small without a time stamp."""
    try:
        _sign(io.BytesIO(b"trial"), None, Path("trial.txt"), _TRIED, identity, is_trial=True)
    except SigningFailed as error:
        raise SigningKeyUnusable(f"The key and its certificate cannot sign: {error.message}") from None


def _sign(
    content: BinaryIO, signed: BinaryIO | None, path: Path, claim: Claim, identity: Identity, is_trial: bool = False
) -> bytes:
    """Sign content into another file, or without one if ``signed`` is None. Returns the manifest store."""
    import c2pa  # it takes .2 s

    from .ingredients import OFFLINE, add_files, described, offline

    kind = media_type(path)
    read, write = Watched(content), Watched(signed if signed is not None else io.BytesIO())
    try:
        content.flush()
        content.seek(0)
        digest = hash_stream(read)
        content.seek(0)
        ingredients, resources = described(claim)
        definition = claim.definition(kind, digest) | {"ingredients": ingredients}
        unchecked: dict[str, Any] = OFFLINE | {"builder": {"thumbnail": {"enabled": False}}}
        unchecked["verify"] = unchecked["verify"] | {"verify_after_sign": False}  # the final file is checked below
        recorder = RecordingSigner(identity.sign)
        server = identity.timestamp_server if not is_trial else ""
        algorithm = c2pa.C2paSigningAlg[identity.algorithm]
        with (
            c2pa.Builder(definition, c2pa.Context(c2pa.Settings.from_dict(unchecked))) as builder,
            c2pa.Signer.from_callback(recorder, algorithm, identity.chain, server or None) as signer,
        ):
            for name, resource in resources.items():
                builder.add_resource(name, io.BytesIO(resource))
            add_files(builder, claim)
            if signed is None:
                builder.set_no_embed()
            manifest = builder.sign(signer, kind, read, write)
        if identity.repeatable and not server:
            manifest = _made_repeatable(manifest, signed, kind, recorder)
        final = signed or content
        final.flush()
        final.seek(0)
        reader = c2pa.Reader(kind, Watched(final), None if signed is not None else manifest, offline())
        if reader.get_validation_state() == "Invalid":
            raise SigningFailed(f"The credentials of {path.name} are not valid.")
    except c2pa.C2paError as error:
        problem = write.problem or read.problem
        if isinstance(problem, Speech2LipError):
            raise problem from None
        if isinstance(problem, OSError):
            raise refusal(path, problem) from error
        raise SigningFailed(f"{path.name} cannot be signed: {str(error).rstrip('.')}.") from error
    except OSError as error:
        raise refusal(path, error) from error
    return manifest


def _made_repeatable(manifest: bytes, signed: BinaryIO | None, kind: str, signer: RecordingSigner) -> bytes:
    """The manifest that is the same each time, which also replaces the one in a file; or the given one, if the file has
    it in several parts.
    """
    with suppress(ValueError):
        changed = with_derived_salts(manifest, signer)
        if signed is None or _overwrite(signed, manifest, changed, kind):
            return changed
    return manifest


def _overwrite(file: BinaryIO, old: bytes, new: bytes, kind: str) -> bool:
    """Replace a manifest in a file with one of the same length. Returns False if it is not there in one piece."""
    where = _find(file, old)
    if where < 0:
        return False
    file.seek(where)
    file.write(new)
    if kind == "image/png":
        file.write(zlib.crc32(_PNG_CHUNK + new).to_bytes(4))
    return True


def _find(file: BinaryIO, wanted: bytes) -> int:
    """Offset of bytes in a file; -1 if they are not there."""
    file.seek(0)
    begin, held = 0, b""
    while block := file.read(_READ_BLOCK):
        held += block
        if (where := held.find(wanted)) >= 0:
            return begin + where
        begin += max(0, len(held) - len(wanted) + 1)
        held = held[max(0, len(held) - len(wanted) + 1) :]
    return -1
