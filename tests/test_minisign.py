"""Signatures: the real minisign program and ours read each other's files; nothing else passes."""

from __future__ import annotations

import base64
import shutil
import subprocess
from pathlib import Path

import nacl.pwhash
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecam import minisign
from edgecam.errors import UsageError
from edgecam.minisign import SecretKey, SignatureError

KEY, STRANGER = SecretKey.new(), SecretKey.new()
DATA = b"a model " * 1000


def check(data: bytes, text: str, *keys: minisign.PublicKey) -> minisign.PublicKey:
    return minisign.verify(data, minisign.parse_signature(text), keys, "door.tflite")


def test_what_is_signed_is_known_by_its_key() -> None:
    assert check(DATA, KEY.sign(DATA, "door 1.2"), STRANGER.public, KEY.public) == KEY.public


def test_a_stranger_is_named_and_refused() -> None:
    with pytest.raises(SignatureError, match=f"signed by {STRANGER.public.name}, which is not trusted"):
        check(DATA, STRANGER.sign(DATA), KEY.public)


def test_a_stranger_who_takes_the_id_of_a_trusted_key_is_refused() -> None:
    forged = SecretKey(KEY.id, STRANGER.seed).sign(DATA)
    with pytest.raises(SignatureError, match="is not what"):
        check(DATA, forged, KEY.public)


@given(place=st.integers(0, len(DATA) - 1), bit=st.integers(0, 7))
def test_one_bit_of_the_file_matters(place: int, bit: int) -> None:
    changed = bytearray(DATA)
    changed[place] ^= 1 << bit
    with pytest.raises(SignatureError, match="changed or is damaged"):
        check(bytes(changed), KEY.sign(DATA), KEY.public)


def test_the_trusted_comment_is_signed() -> None:
    text = KEY.sign(DATA, "version 2").replace("version 2", "version 9")
    with pytest.raises(SignatureError, match="is not what"):
        check(DATA, text, KEY.public)


@given(st.text(max_size=400))
def test_any_text_is_a_signature_or_one_line(text: str) -> None:
    with pytest.raises(SignatureError):
        minisign.parse_signature(text)


@given(st.binary(max_size=300))
def test_any_bytes_are_no_key(data: bytes) -> None:
    for text in (data.decode("latin-1"), f"x\n{base64.b64encode(data).decode()}"):
        if len(data) == 42 and data[:2] == b"Ed":
            continue
        with pytest.raises(UsageError):
            minisign.parse_key(text)
        with pytest.raises(UsageError):
            minisign.read_secret_key(text, "key")


def test_keys_come_from_folders_files_and_lines(tmp_path: Path) -> None:
    folder = tmp_path / "trusted.d"
    folder.mkdir()
    (folder / "us.pub").write_text(f"untrusted comment: us\n{KEY.public.text}\n")
    (folder / "README").write_text("not a key")
    found = minisign.load_keys([str(folder), STRANGER.public.text, str(tmp_path / "none.d")])
    assert [key.key for key in found] == [KEY.public.key, STRANGER.public.key]
    with pytest.raises(UsageError, match=r"gone\.pub: no such key file"):
        minisign.load_keys([str(tmp_path / "gone.pub")])
    (folder / "broken.pub").write_text("untrusted comment: x\nAAAA\n")
    with pytest.raises(UsageError, match=r"broken\.pub: not a public key"):
        minisign.load_keys([str(folder)])


def test_a_secret_key_reads_back() -> None:
    assert minisign.read_secret_key(KEY.text(), "key") == KEY
    assert not minisign.has_password(KEY.text())


@pytest.mark.minisign
class TestTheProgram:
    """minisign(1) itself."""

    @pytest.fixture(autouse=True)
    def program(self) -> None:
        if shutil.which("minisign") is None:
            pytest.skip("minisign is absent: apt install minisign")

    def run(self, *arguments: str | Path, text: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["minisign", *map(str, arguments)], input=text, capture_output=True, text=True, timeout=60
        )

    @pytest.mark.parametrize("legacy", [False, True])
    def test_its_signatures_hold_here(self, tmp_path: Path, legacy: bool) -> None:
        model, public, secret = tmp_path / "m.tflite", tmp_path / "k.pub", tmp_path / "k.key"
        model.write_bytes(DATA)
        assert self.run("-G", "-W", "-p", public, "-s", secret).returncode == 0
        made = self.run("-S", *(["-l"] if legacy else ["-H"]), "-s", secret, "-m", model, "-t", "door 1.2")
        assert made.returncode == 0, made.stderr
        signature = minisign.parse_signature((tmp_path / "m.tflite.minisig").read_text())
        keys = minisign.load_keys([str(public)])
        assert minisign.verify(DATA, signature, keys, "m") == keys[0]
        assert signature.comment == "door 1.2" and signature.hashed is not legacy
        with pytest.raises(SignatureError):
            minisign.verify(DATA + b"x", signature, keys, "m")

    def test_ours_hold_there(self, tmp_path: Path) -> None:
        model = tmp_path / "m.tflite"
        model.write_bytes(DATA)
        (tmp_path / "m.tflite.minisig").write_text(KEY.sign(DATA, "door 1.2"))
        good = self.run("-V", "-P", KEY.public.text, "-m", model)
        assert good.returncode == 0 and "door 1.2" in good.stdout, good.stderr
        model.write_bytes(DATA + b"x")
        assert self.run("-V", "-P", KEY.public.text, "-m", model).returncode != 0

    def test_it_signs_with_our_key_and_we_with_its(self, tmp_path: Path) -> None:
        model, ours = tmp_path / "m.tflite", tmp_path / "ours.key"
        model.write_bytes(DATA)
        ours.write_text(KEY.text())
        assert self.run("-S", "-W", "-s", ours, "-m", model).returncode == 0
        check(DATA, (tmp_path / "m.tflite.minisig").read_text(), KEY.public)

    def test_we_sign_with_its_key(self, tmp_path: Path) -> None:
        public, secret = tmp_path / "k.pub", tmp_path / "k.key"
        assert self.run("-G", "-W", "-p", public, "-s", secret).returncode == 0
        key = minisign.read_secret_key(secret.read_text(), "k")
        assert [key.public.key] == [found.key for found in minisign.load_keys([str(public)])]

    def test_a_key_with_a_password_opens_there_and_here(self, tmp_path: Path) -> None:
        model, secret, text = tmp_path / "m.tflite", tmp_path / "k.key", locked(KEY, "a secret")
        model.write_bytes(DATA)
        secret.write_text(text)
        assert self.run("-S", "-s", secret, "-m", model, text="a secret\n").returncode == 0
        check(DATA, (tmp_path / "m.tflite.minisig").read_text(), KEY.public)
        assert minisign.read_secret_key(text, "k", "a secret") == KEY


def locked(key: SecretKey, password: str) -> str:
    """A secret key's file with a password, at the least cost: what minisign -G makes takes a gigabyte."""
    ops, memory = nacl.pwhash.scrypt.OPSLIMIT_MIN, nacl.pwhash.scrypt.MEMLIMIT_MIN
    first, line = key.text().splitlines()
    data = base64.b64decode(line)
    stream = nacl.pwhash.scrypt.kdf(104, password.encode(), bytes(32), ops, memory)
    rest = bytes(a ^ b for a, b in zip(data[54:], stream, strict=True))
    cost = ops.to_bytes(8, "little") + memory.to_bytes(8, "little")
    return f"{first}\n{base64.b64encode(b'EdScB2' + bytes(32) + cost + rest).decode()}\n"


def test_a_wrong_password_is_named() -> None:
    text = locked(KEY, "a secret")
    assert minisign.has_password(text)
    with pytest.raises(UsageError, match="has a password"):
        minisign.read_secret_key(text, "k")
    with pytest.raises(UsageError, match="password is wrong"):
        minisign.read_secret_key(text, "k", "another")
