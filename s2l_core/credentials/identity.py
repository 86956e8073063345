"""Who signs: the studio's key, or one that was made for this machine.

The studio's key is named by environment variables, which the add-on sets from its preferences: ``S2L_SIGNING_KEY``, a
private key as PEM; ``S2L_SIGNING_CERTIFICATE``, its certificate and those of its issuers as PEM, which may also be in
the file of the key; and ``S2L_TIMESTAMP_SERVER``, the address of a server for time stamps (RFC 3161). Nothing in them
is trusted: a key is tried before any work.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from itertools import pairwise
from typing import Literal
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from .. import regular_files
from ..errors import SigningKeyUnusable
from .machine_key import machine_key

KEY, CERTIFICATE, TIMESTAMPS = "S2L_SIGNING_KEY", "S2L_SIGNING_CERTIFICATE", "S2L_TIMESTAMP_SERVER"
Algorithm = Literal["ES256", "ES384", "ES512", "ED25519", "PS256"]

_LARGEST_FILE = 100_000  # bytes; a chain of three certificates has about 5 000
_LONGEST_ADDRESS, _LEAST_RSA_BITS, _MOST_CERTIFICATES = 2000, 2048, 10
_CURVES: dict[str, tuple[Algorithm, hashes.HashAlgorithm, int]] = {
    "secp256r1": ("ES256", hashes.SHA256(), 32),
    "secp384r1": ("ES384", hashes.SHA384(), 48),
    "secp521r1": ("ES512", hashes.SHA512(), 66),
}


@dataclass(frozen=True)
class Identity:
    """A key that signs, with its certificates.

    Attributes:
        owner: ``"studio"`` or ``"machine"``.
        algorithm: Signature algorithm, as COSE names it.
        chain: The certificate of the key and those of its issuers, as PEM.
        sign: Signs bytes; returns the signature as COSE stores it.
        repeatable: Whether the same bytes always get the same signature.
        timestamp_server: Address of a server for time stamps; empty for none.
    """

    owner: Literal["studio", "machine"]
    algorithm: Algorithm
    chain: str
    sign: Callable[[bytes], bytes]
    repeatable: bool
    timestamp_server: str = ""


def read_identity(variables: Mapping[str, str] | None = None) -> Identity:
    """The studio's key if one is named, and otherwise the one of this machine, which is made if it is missing.

    Args:
        variables: Environment variables; None means those of this process.

    Raises:
        SigningKeyUnusable: A file cannot be read, is not a key or a certificate, is encrypted, is too weak or expired;
            or the key and the certificate do not belong together; or the address of a server is invalid.
        CannotWrite, DiskFull: The key of this machine cannot be kept.
    """
    found = os.environ if variables is None else variables
    server = _server(found.get(TIMESTAMPS, ""))
    if key_path := found.get(KEY, ""):
        certificate_path = found.get(CERTIFICATE, "")
        key = _read(key_path)
        chain = _read(certificate_path) if certificate_path else key
        return _identity("studio", key, chain, key_path, certificate_path or key_path, server)
    if found.get(CERTIFICATE, ""):
        raise SigningKeyUnusable(
            f"{CERTIFICATE} names a certificate, but {KEY} names no key.", "Name both, or none of them."
        )
    path, content = machine_key()
    return _identity("machine", content, content, str(path), str(path), server)


@lru_cache(maxsize=4)
def _identity(
    owner: Literal["studio", "machine"], key: bytes, chain: bytes, key_path: str, chain_path: str, server: str
) -> Identity:
    algorithm, sign, public = _signer(key, key_path)
    certificates = _certificates(chain, chain_path)
    if certificates[0].public_key() != public:
        raise SigningKeyUnusable(
            f"The first certificate in {chain_path} is not that of the key in {key_path}.",
            "Put the certificate of the key first, and those of its issuers after it.",
        )
    pem = b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates).decode()
    return Identity(owner, algorithm, pem, sign, algorithm != "PS256", server)


def _signer(pem: bytes, path: str) -> tuple[Algorithm, Callable[[bytes], bytes], object]:
    """Algorithm, signing function and public key of a private key."""
    try:
        key = load_pem_private_key(pem, password=None)
    except TypeError:
        raise SigningKeyUnusable(f"The key in {path} is encrypted.", "Name a key without a passphrase.") from None
    except (ValueError, UnsupportedAlgorithm):
        raise SigningKeyUnusable(f"{path} contains no private key in PEM form.") from None
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "ED25519", key.sign, key.public_key()
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size >= _LEAST_RSA_BITS:
        salted = padding.PSS(padding.MGF1(hashes.SHA256()), hashes.SHA256.digest_size)
        return "PS256", lambda data: key.sign(data, salted, hashes.SHA256()), key.public_key()
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in _CURVES:
        algorithm, digest, size = _CURVES[key.curve.name]

        def sign(data: bytes) -> bytes:  # RFC 6979: no random number, so the same file gets the same signature
            parts = decode_dss_signature(key.sign(data, ec.ECDSA(digest, deterministic_signing=True)))
            return b"".join(part.to_bytes(size) for part in parts)

        return algorithm, sign, key.public_key()
    raise SigningKeyUnusable(
        f"The key in {path} is of a kind that content credentials do not use, or too short.",
        "Use an elliptic curve key (P-256, P-384 or P-521), Ed25519, or RSA with 2048 bits or more.",
    )


def _certificates(pem: bytes, path: str) -> list[x509.Certificate]:
    """The certificate of a key, followed by those of its issuers; all of them are valid now."""
    try:
        certificates = x509.load_pem_x509_certificates(pem)
        if len(certificates) > _MOST_CERTIFICATES:
            raise ValueError("too many certificates")
        for certificate, issuer in pairwise(certificates):
            certificate.verify_directly_issued_by(issuer)
    except (TypeError, ValueError, InvalidSignature, UnsupportedAlgorithm) as error:
        raise SigningKeyUnusable(
            f"{path} contains no chain of certificates in PEM form: {str(error) or 'one did not issue the one before'}."
        ) from None
    now = datetime.now(UTC)
    for certificate in certificates:
        if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
            end = f"{certificate.not_valid_before_utc:%Y-%m-%d} to {certificate.not_valid_after_utc:%Y-%m-%d}"
            raise SigningKeyUnusable(f"A certificate in {path} is valid only from {end}.", "Renew the certificate.")
    return certificates


def _read(path: str) -> bytes:
    try:
        return regular_files.read(path, _LARGEST_FILE)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error).rstrip(".")
        raise SigningKeyUnusable(f"{path[:500]!r} cannot be read: {reason}.") from None


def _server(address: str) -> str:
    """A checked address of a server for time stamps."""
    try:
        parts = urlsplit(address)
        is_valid = not address or (parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0)
    except ValueError:
        is_valid = False
    if not is_valid or len(address) > _LONGEST_ADDRESS or not address.isprintable() or " " in address:
        raise SigningKeyUnusable(
            f"{address[:200]!r} is not the address of a server for time stamps.",
            f"Write it like http://timestamp.example.com, or remove {TIMESTAMPS}.",
        )
    return address
