"""The key of this machine, which signs if the studio has none.

It proves that a file was not changed since, and that two files come from the same machine. It does not prove whose
machine that is: nobody has vouched for it.
"""

from __future__ import annotations

import os
import stat
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from platformdirs import user_config_path

from .. import regular_files
from ..errors import SigningKeyUnusable
from ..files import companion, refusal, whole_file
from ..locks import Taken, locked

_LARGEST_FILE = 100_000  # bytes
_YEARS = 20
_PATIENCE_SECONDS = 10.0
_ORGANISATION = "Speech2Lip (a key made by this machine)"
_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


def machine_key_path() -> Path:
    """The file of the key: a private key, its certificate and that of its issuer, as PEM."""
    return user_config_path("speech2lip") / "signing" / "machine.pem"


def machine_key() -> tuple[Path, bytes]:
    """The file of the key, and its content. If there is none, a key is made; of processes that do so at once, one wins.

    Raises:
        SigningKeyUnusable: The file is not a regular file, cannot be read, or may be read by others.
        CannotWrite, DiskFull: The file cannot be written.
    """
    path = machine_key_path()
    if not os.path.lexists(path):
        _make(path)
    try:
        mode = path.stat().st_mode
        content = regular_files.read(path, _LARGEST_FILE)
    except OSError as error:
        reason = error.strerror or str(error).rstrip(".")
        raise SigningKeyUnusable(f"The key of this machine in {path} cannot be read: {reason}.", _HINT) from None
    if sys.platform != "win32" and stat.S_IMODE(mode) & 0o077:
        raise SigningKeyUnusable(f"The key of this machine in {path} may be read by others.", _HINT)
    return path, content


_HINT = "Remove the file, and a new key will be made. Files that were signed with the earlier one remain valid."


def _make(path: Path) -> None:
    """Make the key unless another process does."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        while not os.path.lexists(path) and time.monotonic() < deadline:
            try:
                with locked(companion(path, ".lock", hidden=True)):
                    if not os.path.lexists(path):
                        with whole_file(path, lasting=True, private=True) as file:
                            file.write(_new_key())
            except Taken:
                time.sleep(0.05)
    except OSError as error:
        raise refusal(path, error) from error


def _new_key() -> bytes:
    """A new private key, its certificate, and that of the issuer, whose own key is not kept."""
    issuing, own = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root_name, own_name = _name("Root"), _name("Signing")
    root = _certificate(root_name, issuing.public_key(), root_name, issuing, is_issuer=True)
    leaf = _certificate(own_name, own.public_key(), root_name, issuing, is_issuer=False)
    private = own.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return b"".join([private, leaf.public_bytes(Encoding.PEM), root.public_bytes(Encoding.PEM)])


def _certificate(
    name: x509.Name,
    public: ec.EllipticCurvePublicKey,
    issuer: x509.Name,
    issuing: ec.EllipticCurvePrivateKey,
    is_issuer: bool,
) -> x509.Certificate:
    """A certificate with the extensions that C2PA requires."""
    now = datetime.now(UTC)
    allowed = {"key_cert_sign", "crl_sign"} if is_issuer else {"digital_signature"}
    builder = (
        x509.CertificateBuilder(issuer, name, public, x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=365 * _YEARS))
        .add_extension(x509.BasicConstraints(ca=is_issuer, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(**{usage: usage in allowed for usage in _USAGES}), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuing.public_key()), critical=False)
    )
    if not is_issuer:
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
    return builder.sign(issuing, hashes.SHA256())


def _name(common: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, _ORGANISATION),
            x509.NameAttribute(NameOID.COMMON_NAME, f"Speech2Lip {common}"),
        ]
    )
