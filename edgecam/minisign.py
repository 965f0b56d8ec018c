"""Signatures in the format of minisign (https://jedisct1.github.io/minisign/): Ed25519, one small text file.

``NAME.tflite.minisig`` beside ``NAME.tflite``::

    untrusted comment: anything
    base64("ED" key-id[8] signature[64])           of the file's BLAKE2b-512
    trusted comment: signed too
    base64(signature[64])                          of the signature and the trusted comment

A public key is a line of base64 (``"Ed" key-id[8] key[32]``), in a file with a comment above it. The program
``minisign`` and this module read each other's files. Ed25519 itself is libsodium's, by PyNaCl.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgecam.errors import EdgecamError, ModelError, UsageError

SUFFIX = ".minisig"
LIMIT = 8192  # bytes of a signature or a key file
_UNTRUSTED, _TRUSTED = "untrusted comment: ", "trusted comment: "
_PLAIN, _HASHED = b"Ed", b"ED"


class SignatureError(ModelError):
    """A signature is missing, not valid, or of somebody who is not trusted."""


@dataclass(frozen=True)
class PublicKey:
    """
    Attributes:
        id: eight bytes that signatures name their key by.
        key: 32 bytes, Ed25519.
        origin: the file it is from, "" for one that was typed.
    """

    id: bytes
    key: bytes
    origin: str = ""

    @property
    def name(self) -> str:
        """The id as minisign shows it."""
        return self.id[::-1].hex().upper()

    @property
    def text(self) -> str:
        """The line of base64."""
        return base64.b64encode(_PLAIN + self.id + self.key).decode()


@dataclass(frozen=True)
class Signature:
    """A signature file, parsed, not checked."""

    hashed: bool
    key_id: bytes
    signature: bytes
    comment: str
    whole: bytes

    @property
    def key_name(self) -> str:
        return self.key_id[::-1].hex().upper()


def parse_key(text: str, origin: str = "") -> PublicKey:
    """A public key from its file's text, or from its line alone.

    Raises:
        UsageError: it is none.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    line = lines[-1] if lines else ""
    try:
        data = base64.b64decode(line, validate=True)
        if len(data) != 42 or data[:2] != _PLAIN:
            raise ValueError
    except ValueError:  # binascii.Error too
        raise UsageError(
            f"{origin or 'the key'}: not a public key of minisign", "give NAME.pub, or the line in it"
        ) from None
    return PublicKey(data[2:10], data[10:], origin)


def parse_signature(text: str, name: str = "the signature") -> Signature:
    """
    Raises:
        SignatureError: not a signature of minisign.
    """
    try:
        first, line, second, last = text.splitlines()[:4]
        if not first.startswith(_UNTRUSTED) or not second.startswith(_TRUSTED):
            raise ValueError
        data = base64.b64decode(line, validate=True)
        whole = base64.b64decode(last, validate=True)
        if len(data) != 74 or len(whole) != 64 or data[:2] not in (_PLAIN, _HASHED):
            raise ValueError
    except (ValueError, binascii.Error):
        raise SignatureError(f"{name}: not a signature of minisign", "sign the model again") from None
    comment = second.removeprefix(_TRUSTED)
    return Signature(data[:2] == _HASHED, data[2:10], data[10:], comment, whole)


def load_keys(places: Iterable[str]) -> list[PublicKey]:
    """Public keys from files, from the ``.pub`` files of folders, or written out.

    A folder that is not there holds none.

    Raises:
        UsageError: a file that cannot be read or holds no key.
    """
    keys = []
    for place in places:
        path = Path(place)
        if path.is_dir():
            keys += [parse_key(_read(file), str(file)) for file in sorted(path.glob("*.pub"))]
        elif path.is_file():
            keys.append(parse_key(_read(path), str(path)))
        elif len(place) == 56 and "/" not in place[:2]:
            keys.append(parse_key(place))
        elif not place.endswith(".d"):
            raise UsageError(f"{place}: no such key file", "name NAME.pub, a folder of them, or a key's line")
    return keys


def verify(data: bytes, signature: Signature, keys: Sequence[PublicKey], name: str) -> PublicKey:
    """The key by which a file is signed.

    Args:
        data: the file.
        keys: those that are trusted.
        name: of the file, for errors.

    Raises:
        SignatureError: no such key is trusted, or the signature does not fit the file.
        EdgecamError: PyNaCl is missing.
    """
    key = find_key(signature, keys, name)
    nacl = _nacl()
    content = hashlib.blake2b(data).digest() if signature.hashed else data
    check = nacl.signing.VerifyKey(key.key)
    try:
        check.verify(content, signature.signature)
        check.verify(signature.signature + signature.comment.encode(), signature.whole)
    except nacl.exceptions.BadSignatureError:
        raise SignatureError(
            f"{name} is not what {key.name} has signed: it was changed or is damaged",
            "fetch the model and its signature again",
        ) from None
    return key


def find_key(signature: Signature, keys: Sequence[PublicKey], name: str) -> PublicKey:
    """The key that a signature names.

    Raises:
        SignatureError: no such key is trusted.
    """
    key = next((key for key in keys if key.id == signature.key_id), None)
    if key is None:
        raise SignatureError(
            f"{name} is signed by {signature.key_name}, which is not trusted here",
            "put that key's .pub file into /etc/edgecam/trusted.d if you trust it",
        )
    return key


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(LIMIT).decode("utf-8", "replace")
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror})", "check its rights") from error


def _nacl() -> Any:
    try:
        import nacl.bindings
        import nacl.exceptions
        import nacl.pwhash
        import nacl.signing
    except ImportError:
        raise EdgecamError("signatures need the package PyNaCl", "pip install 'edgecam[signed]'") from None
    return nacl


# -- the other side: keys and signing


@dataclass(frozen=True)
class SecretKey:
    """
    Attributes:
        id: eight bytes.
        seed: 32 bytes, Ed25519.
    """

    id: bytes
    seed: bytes

    @classmethod
    def new(cls) -> SecretKey:
        return cls(secrets.token_bytes(8), secrets.token_bytes(32))

    @property
    def public(self) -> PublicKey:
        return PublicKey(self.id, bytes(_nacl().signing.SigningKey(self.seed).verify_key))

    def sign(self, data: bytes, comment: str = "") -> str:
        """The text of the signature file."""
        key = _nacl().signing.SigningKey(self.seed)
        comment = " ".join(comment.split()) or f"timestamp:{int(time.time())}\thashed"
        signature = key.sign(hashlib.blake2b(data).digest()).signature
        whole = key.sign(signature + comment.encode()).signature
        first = base64.b64encode(_HASHED + self.id + signature).decode()
        last = base64.b64encode(whole).decode()
        return f"{_UNTRUSTED}signature by edgecam\n{first}\n{_TRUSTED}{comment}\n{last}\n"

    def text(self) -> str:
        """The text of a secret key file without a password (``minisign -W``)."""
        rest = self.id + self.seed + self.public.key
        check = hashlib.blake2b(_PLAIN + rest, digest_size=32).digest()
        data = _PLAIN + b"\0\0" + b"B2" + bytes(48) + rest + check
        return f"{_UNTRUSTED}secret key, without a password\n{base64.b64encode(data).decode()}\n"


def read_secret_key(text: str, name: str, password: str = "") -> SecretKey:
    """A secret key from its file's text.

    Raises:
        UsageError: it is none, or the password is wrong or missing.
    """
    try:
        data = base64.b64decode(text.splitlines()[1], validate=True)
        if len(data) != 158 or data[:2] != _PLAIN or data[4:6] != b"B2":
            raise ValueError
    except (ValueError, IndexError):
        raise UsageError(f"{name}: not a secret key of minisign", "make one: minisign -G") from None
    salt, ops, memory, rest = data[6:38], data[38:46], data[46:54], data[54:]
    if data[2:4] == b"Sc":
        if not password:
            raise UsageError(f"{name} has a password", "type it when asked")
        cost = int.from_bytes(ops, "little"), int.from_bytes(memory, "little")
        stream = _nacl().pwhash.scrypt.kdf(len(rest), password.encode(), salt, *cost)
        rest = bytes(a ^ b for a, b in zip(rest, stream, strict=True))
        # minisign 0.11 leaves the check of a key without a password empty.
        if hashlib.blake2b(_PLAIN + rest[:72], digest_size=32).digest() != rest[72:]:
            raise UsageError(f"{name}: the password is wrong", "type the one that it was made with")
    return SecretKey(rest[:8], rest[8:40])


def has_password(text: str) -> bool:
    """Whether a secret key's file is encrypted."""
    try:
        return base64.b64decode(text.splitlines()[1])[2:4] == b"Sc"
    except (ValueError, IndexError):
        return False
