"""Results say how they were made, and ``verify`` finds out whether they were changed since."""

from __future__ import annotations

import json
import shutil
import stat
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

pytest.importorskip("c2pa", reason="needs c2pa-python, which the engine installs")

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from s2l_core import cli, sign, verify
from s2l_core.credentials import signing
from s2l_core.credentials.claim import Claim, Source
from s2l_core.credentials.identity import CERTIFICATE, KEY, TIMESTAMPS, read_identity
from s2l_core.credentials.machine_key import _USAGES, machine_key, machine_key_path
from s2l_core.credentials.signing import refuse_unusable_key, sign_in_place
from s2l_core.errors import FileMissing, SigningFailed, SigningKeyUnusable
from s2l_core.events import Event, Log, Report
from s2l_core.jobs import Encoding as Format
from s2l_core.jobs import SignJob, VerifyJob
from s2l_core.media.chunks import Chunks
from s2l_core.media.pictures import write_picture
from s2l_core.media.raster import ColourTags
from s2l_core.media.waveform import Waveform
from s2l_core.media.writing import VideoWriter
from s2l_core.results import CheckedFile

RATE, FRAMES, SIZE = Fraction(25), 6, (48, 64)
COMMENT = "Synthetic media: generated lips of Anna, made with Speech2Lip"
FORMATS = {
    "h264": ("dub.mp4", "inside"),
    "prores": ("dub.mov", "inside"),
    "ffv1": ("dub.mkv", "beside"),
    "png": ("dub_png", "beside"),
    "exr": ("dub_exr", "beside"),
}
PICTURE = np.arange(SIZE[0] * SIZE[1] * 3, dtype=np.uint32).reshape(*SIZE, 3).astype(np.uint8)


def check(path: Path) -> CheckedFile:
    return verify(VerifyJob((str(path),)))["files"][0]


def write_movie(path: Path, claim: Claim | None) -> Path:
    with VideoWriter(str(path), SIZE[1], SIZE[0], RATE, claim=claim) as writer:
        for number in range(FRAMES):
            writer.write(PICTURE + np.uint8(number))
    return path


def write_result(path: Path, encoding: Format, claim: Claim | None) -> str:
    """Write a result as the verbs ``dub`` and ``still`` do, and return how it is signed."""
    chunks = Chunks(str(path), FRAMES, 4, encoding, {"job": "test"})
    for chunk in chunks.missing:
        with chunks.writer(chunk, SIZE[1], SIZE[0], RATE, ColourTags()) as writer:
            for number in chunk:
                writer.write(PICTURE + np.uint8(number))
    return chunks.join(RATE, silence(), COMMENT, claim)


def silence() -> Waveform:
    return Waveform.of(np.zeros((FRAMES * 640, 1), np.float32), 16_000)


def flip(path: Path, at: int = -9) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def content_of(path: Path) -> dict[str, bytes]:
    """Everything that was written: the file, or those in the folder, and what is beside it, in the order of names."""
    files = [file for file in path.parent.rglob("*") if file.is_file() and file.name.startswith(path.name)]
    files += [file for file in path.rglob("*") if file.is_file()]
    return {str(file.relative_to(path.parent)): file.read_bytes() for file in sorted(set(files))}


@pytest.fixture
def claim(tmp_path: Path) -> Claim:
    source = write_movie(tmp_path / "take.mp4", None)
    opened = (Source(str(source), "ab" * 16),)
    return Claim("lips", opened, consent="cd" * 32, frames=((0, 2), (4, 5)), box=(8, 16, 40, 32))


@pytest.fixture
def results(tmp_path: Path) -> Path:
    (tmp_path / "results").mkdir()
    return tmp_path / "results"


# ---- All formats


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_signed(name: str, claim: Claim, results: Path) -> None:
    file_name, where = FORMATS[name]
    said = write_result(results / file_name, Format(name), claim)  # type: ignore[arg-type]
    found = check(results / file_name)
    assert said == "Signed with the key of this machine."
    assert (found["status"], found["where"]) == ("valid", where), found
    assert found["actions"] == ["c2pa.opened", "c2pa.edited"]
    assert found["synthesis"] == ["compositeWithTrainedAlgorithmicMedia"]
    assert (found["part"], found["consent"]) == ("lips", "cd" * 32)
    assert (found["frames"], found["box"]) == ([{"first": 0, "last": 2}, {"first": 4, "last": 5}], [8, 16, 40, 32])
    assert [origin["title"] for origin in found["chain"]] == ["take.mp4"]


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_result_is_the_same_bytes(name: str, claim: Claim, results: Path, tmp_path: Path) -> None:
    file_name, _ = FORMATS[name]
    write_result(results / file_name, Format(name), claim)  # type: ignore[arg-type]
    again = results.with_name("again") / f"again_{file_name}"
    again.parent.mkdir()
    write_result(again, Format(name), claim)  # type: ignore[arg-type]
    assert list(content_of(results / file_name).values()) == list(content_of(again).values())


@pytest.mark.parametrize("name", FORMATS)
def test_a_flipped_byte_is_found(name: str, claim: Claim, results: Path) -> None:
    file_name, _ = FORMATS[name]
    path = results / file_name
    write_result(path, Format(name), claim)  # type: ignore[arg-type]
    flip(path / f"000003.{name}" if path.is_dir() else path)
    found = check(path)
    assert found["status"] == "invalid"
    assert "changed after" in found["summary"]


def test_a_movie_of_a_head_is_signed(claim: Claim, results: Path) -> None:
    assert check(write_movie(results / "head.mp4", claim))["status"] == "valid"


def test_a_preview_is_signed(claim: Claim, results: Path) -> None:
    write_picture(results / "preview.png", PICTURE, Format("png"), claim=claim)
    write_picture(results / "again.png", PICTURE, Format("png"), claim=claim)
    assert check(results / "preview.png")["status"] == "valid"
    with av.open(str(results / "preview.png")) as container:
        shown = next(container.decode(video=0)).to_ndarray(format="rgb24")
    assert (shown == PICTURE).all()


# ---- What happens to a signed file


def test_a_remux_is_unsigned(claim: Claim, results: Path) -> None:
    signed = write_movie(results / "dub.mp4", claim)
    with av.open(str(signed)) as source, av.open(str(results / "remux.mp4"), "w") as copy:
        stream = copy.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                copy.mux(packet)
    assert check(results / "remux.mp4")["status"] == "unsigned"


def test_credentials_of_another_file_are_invalid(claim: Claim, results: Path) -> None:
    write_result(results / "dub.mkv", Format("ffv1"), claim)
    shutil.copy(results / "dub.mkv.c2pa", results / "other.mkv.c2pa")
    shutil.copy(write_movie(results / "other.mp4", None), results / "other.mkv")
    assert check(results / "other.mkv")["status"] == "invalid"


def test_damaged_credentials_are_invalid(claim: Claim, results: Path) -> None:
    write_result(results / "dub.mkv", Format("ffv1"), claim)
    for at in (5, 300, 2000):
        damaged = results / f"damaged{at}.mkv"
        shutil.copy(results / "dub.mkv", damaged)
        shutil.copy(results / "dub.mkv.c2pa", f"{damaged}.c2pa")
        flip(Path(f"{damaged}.c2pa"), at)
        assert check(damaged)["status"] == "invalid", at


def test_one_picture_of_a_folder_is_checked(claim: Claim, results: Path) -> None:
    write_result(results / "dub", Format("png"), claim)
    assert check(results / "dub" / "000002.png")["status"] == "valid"
    flip(results / "dub" / "000001.png")
    assert check(results / "dub" / "000002.png")["status"] == "valid"
    assert check(results / "dub" / "000001.png")["status"] == "invalid"
    (results / "dub" / "000006.png").unlink()
    shutil.copy(results / "dub" / "000002.png", results / "dub" / "000007.png")
    problems = " ".join(check(results / "dub")["problems"])
    assert "missing: 000006.png" in problems
    assert "not in the signed list: 000007.png" in problems


# ---- The chain


@pytest.mark.parametrize("name", FORMATS)
def test_the_credentials_of_a_source_are_kept(name: str, claim: Claim, results: Path) -> None:
    file_name, _ = FORMATS[name]
    write_result(results / file_name, Format(name), claim)  # type: ignore[arg-type]
    second = write_movie(results / "second.mp4", Claim("head", (Source(str(results / file_name), "ef" * 16),)))
    chain = check(second)["chain"]
    assert [(origin["title"], origin["is_signed"]) for origin in chain] == [(file_name, True), ("take.mp4", False)]
    assert [origin["problems"] for origin in chain] == [[], []]


def test_a_source_that_was_changed_is_reported(claim: Claim, results: Path) -> None:
    first = write_movie(results / "first.mp4", claim)
    flip(first)
    found = check(write_movie(results / "second.mp4", Claim("lips", (Source(str(first)),))))
    assert found["status"] == "valid"
    assert found["chain"][0]["problems"] == ["the file was changed after it was signed"]


def test_sources_of_every_kind_are_named(claim: Claim, results: Path, tmp_path: Path) -> None:
    sources = [tmp_path / name for name in ("text.mp4", "voice.ogg", "missing.wav", "folder", "none")]
    sources[0].write_bytes(b"no movie")
    sources[1].write_bytes(b"OggS" + bytes(100))
    sources[3].mkdir()
    sources[4].write_bytes(b"")
    placed = tuple(Source(str(path)) for path in sources[1:])
    found = check(write_movie(results / "dub.mp4", Claim("lips", (Source(str(sources[0])),), placed)))
    assert found["status"] == "valid"
    assert found["actions"] == ["c2pa.opened", "c2pa.placed", "c2pa.edited"]


# ---- Without the packages


def test_without_the_packages_results_are_as_before(
    claim: Claim, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signing, "_NEEDED", ("c2pa_is_not_here",))
    told: list[Event] = []
    refuse_unusable_key()
    with Report(told.append).running():
        said = write_result(results / "dub.mp4", Format("h264"), claim)
        write_result(results / "dub", Format("png"), claim)
    assert "c2pa_is_not_here is not installed" in said
    assert [event for event in told if isinstance(event, Log)] == [Log("warning", said)] * 2
    assert (results / "dub/synthetic_media.txt").read_text() == f"{COMMENT}.\n"
    with av.open(str(results / "dub.mp4")) as container:
        assert container.metadata["comment"] == COMMENT
    assert check(results / "dub.mp4")["status"] == "unsigned"


# ---- Keys


def make_certificates(key: Any, days: int = 30, starts: int = -1, common: str = "Studio") -> bytes:
    issuing = ec.generate_private_key(ec.SECP256R1())

    def name(text: str) -> x509.Name:
        organisation = x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Moving Pictures")
        return x509.Name([organisation, x509.NameAttribute(NameOID.COMMON_NAME, text)])

    def certificate(subject: str, public: Any, is_issuer: bool) -> bytes:
        now = datetime.now(UTC)
        usage = dict.fromkeys(_USAGES, False)
        usage["key_cert_sign" if is_issuer else "digital_signature"] = True
        built = (
            x509.CertificateBuilder(name("Root"), name(subject), public, x509.random_serial_number())
            .not_valid_before(now + timedelta(days=min(starts, -1) if is_issuer else starts))
            .not_valid_after(now + timedelta(days=60 if is_issuer else days))
            .add_extension(x509.BasicConstraints(ca=is_issuer, path_length=None), critical=True)
            .add_extension(x509.KeyUsage(**usage), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuing.public_key()), critical=False)
        )
        if not is_issuer:
            built = built.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
        return built.sign(issuing, hashes.SHA256()).public_bytes(Encoding.PEM)

    return certificate(common, key.public_key(), False) + certificate("Root", issuing.public_key(), True)


def pem_of(key: Any, passphrase: bytes = b"") -> bytes:
    encryption = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    pem: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    return pem


KEYS: dict[str, Callable[[], Any]] = {
    "P-256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "P-384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "P-521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "Ed25519": ed25519.Ed25519PrivateKey.generate,
    "RSA": lambda: rsa.generate_private_key(65537, 2048),
}


@pytest.mark.parametrize("kind", KEYS)
def test_a_studio_signs_with_its_own_key(
    kind: str, claim: Claim, results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = KEYS[kind]()
    (tmp_path / "key.pem").write_bytes(pem_of(key))
    (tmp_path / "chain.pem").write_bytes(make_certificates(key))
    monkeypatch.setenv(KEY, str(tmp_path / "key.pem"))
    monkeypatch.setenv(CERTIFICATE, str(tmp_path / "chain.pem"))
    refuse_unusable_key()
    said = write_result(results / "dub.mp4", Format("h264"), claim)
    found = check(results / "dub.mp4")
    assert said == "Signed with the studio's key."
    assert (found["status"], found["signed_by"], found["is_trusted"]) == ("valid", "Studio, Moving Pictures", False)
    (tmp_path / "again").mkdir()
    write_result(tmp_path / "again" / "dub.mp4", Format("h264"), claim)
    is_same = (tmp_path / "again" / "dub.mp4").read_bytes() == (results / "dub.mp4").read_bytes()
    assert is_same == (kind != "RSA")  # a signature by RSA contains random numbers


def unusable_keys() -> dict[str, Callable[[Path], dict[str, str]]]:
    key = ec.generate_private_key(ec.SECP256R1())
    other = ec.generate_private_key(ec.SECP256R1())

    def written(folder: Path, pem: bytes, chain: bytes) -> dict[str, str]:
        (folder / "key.pem").write_bytes(pem)
        (folder / "chain.pem").write_bytes(chain)
        return {KEY: str(folder / "key.pem"), CERTIFICATE: str(folder / "chain.pem")}

    return {
        "missing": lambda folder: {KEY: str(folder / "nothing.pem")},
        "a folder": lambda folder: {KEY: str(folder)},
        "a device": lambda folder: {KEY: "/dev/zero"},
        "not a name": lambda folder: {KEY: "key\n\x1b[31m.pem"},
        "too large": lambda folder: written(folder, pem_of(key) + bytes(200_000), make_certificates(key)),
        "no key": lambda folder: written(folder, b"hello", make_certificates(key)),
        "encrypted": lambda folder: written(folder, pem_of(key, b"secret"), make_certificates(key)),
        "too short": lambda folder: written(
            folder, pem_of(short := rsa.generate_private_key(65537, 1024)), make_certificates(short)
        ),
        "no certificate": lambda folder: written(folder, pem_of(key), b""),
        "only a key": lambda folder: {KEY: written(folder, pem_of(key), b"")[KEY]},
        "of another key": lambda folder: written(folder, pem_of(key), make_certificates(other)),
        "expired": lambda folder: written(folder, pem_of(key), make_certificates(key, days=-2, starts=-9)),
        "not yet valid": lambda folder: written(folder, pem_of(key), make_certificates(key, starts=9)),
        "of different chains": lambda folder: written(
            folder,
            pem_of(key),
            make_certificates(key).split(b"-----END CERTIFICATE-----\n")[0]
            + b"-----END CERTIFICATE-----\n"
            + make_certificates(other),
        ),
        "only a certificate": lambda folder: {CERTIFICATE: written(folder, b"", make_certificates(key))[CERTIFICATE]},
        "no server": lambda folder: {TIMESTAMPS: "file:///etc/passwd"},
        "no address": lambda folder: {TIMESTAMPS: "http://[::1"},
    }


@pytest.mark.parametrize("kind", unusable_keys())
def test_an_unusable_key_is_refused_before_the_work(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in unusable_keys()[kind](tmp_path).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SigningKeyUnusable) as raised:
        refuse_unusable_key()
    assert "\x1b" not in str(raised.value)


def test_a_certificate_that_may_not_sign_media_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Self")])
    now = datetime.now(UTC)
    bare = (
        x509.CertificateBuilder(name, name, key.public_key(), 1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
    )
    (tmp_path / "key.pem").write_bytes(pem_of(key) + bare.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
    monkeypatch.setenv(KEY, str(tmp_path / "key.pem"))
    with pytest.raises(SigningKeyUnusable, match="cannot sign"):
        refuse_unusable_key()


def test_without_the_time_a_result_is_refused_and_its_frames_are_kept(
    claim: Claim, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TIMESTAMPS, "http://127.0.0.1:9")
    refuse_unusable_key()  # the server is asked only when there is something to sign
    (results / "dub.mp4").write_bytes(b"an older result")
    with pytest.raises(SigningFailed):
        write_result(results / "dub.mp4", Format("h264"), claim)
    assert (results / "dub.mp4").read_bytes() == b"an older result"
    monkeypatch.delenv(TIMESTAMPS)
    assert Chunks(str(results / "dub.mp4"), FRAMES, 4, Format("h264"), {"job": "test"}).missing == []
    write_result(results / "dub.mp4", Format("h264"), claim)
    assert check(results / "dub.mp4")["status"] == "valid"


@pytest.fixture
def own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.mark.skipif(sys.platform == "win32", reason="has no modes")
def test_the_key_of_this_machine_is_made_once_and_private(own_settings: None) -> None:
    path, content = machine_key()
    assert machine_key() == (path, content)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert read_identity({}).owner == "machine"
    path.chmod(0o644)
    with pytest.raises(SigningKeyUnusable, match="may be read by others"):
        refuse_unusable_key()


def test_a_damaged_key_of_this_machine_is_refused(own_settings: None) -> None:
    machine_key_path().parent.mkdir(parents=True)
    machine_key_path().write_bytes(b"not a key")
    machine_key_path().chmod(0o600)
    with pytest.raises(SigningKeyUnusable, match="no private key"):
        refuse_unusable_key()


def test_a_key_that_cannot_be_kept_leaves_results_unsigned(
    own_settings: None, claim: Claim, results: Path, tmp_path: Path
) -> None:
    (tmp_path / "config").write_text("not a folder")
    assert write_result(results / "dub.mp4", Format("h264"), claim).startswith("Not signed with content credentials")
    assert check(results / "dub.mp4")["status"] == "unsigned"


# ---- Files that exist, and the command line


def test_a_file_is_signed_where_it_is(claim: Claim, results: Path) -> None:
    movie, picture = write_movie(results / "render.mp4", None), results / "render.exr"
    picture.write_bytes(b"\x76\x2f\x31\x01" + bytes(200))
    for path in (movie, picture):
        assert sign_in_place(path, claim) == "Signed with the key of this machine."
        assert check(path)["status"] == "valid"
    assert sign_in_place(movie, Claim("lips", (Source(str(movie)),))) == "Signed with the key of this machine."
    assert [origin["title"] for origin in check(movie)["chain"]] == ["render.mp4", "take.mp4"]


def test_a_render_of_other_programs_names_all_results_in_it(claim: Claim, results: Path) -> None:
    dubs = [write_movie(results / name, claim) for name in ("first.mp4", "second.mp4")]
    renders = [write_movie(results / "render.mp4", None), results / "render.exr"]
    renders[1].write_bytes(b"\x76\x2f\x31\x01" + bytes(200))
    result = sign(SignJob(tuple(map(str, renders)), tuple(map(str, dubs))))
    assert result["credentials"] == "Signed with the key of this machine."
    for render in renders:
        found = check(render)
        assert (found["status"], found["actions"]) == ("valid", ["c2pa.created", "c2pa.placed"]), found
        assert found["synthesis"] == ["compositeWithTrainedAlgorithmicMedia"]
    with pytest.raises(FileMissing):
        sign(SignJob((str(results / "none.mp4"),), ()))


def test_the_command_line_tells_valid_from_invalid(
    claim: Claim, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = write_movie(results / "good.mp4", claim), write_movie(results / "bad.mp4", claim)
    flip(bad)
    assert cli.main(["verify", str(good)]) == 0
    assert "Valid: unchanged since it was signed by Speech2Lip Signing" in capsys.readouterr().out
    assert cli.main(["verify", str(good), str(bad), "--json"]) == 1
    assert [each["status"] for each in json.loads(capsys.readouterr().out)["files"]] == ["valid", "invalid"]
    assert cli.main(["verify", str(write_movie(results / "bare.mp4", None))]) == 1
    assert cli.main(["verify", str(results / "none.mp4")]) == 1
