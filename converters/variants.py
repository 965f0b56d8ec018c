"""``variants.json``: the quantised files of a work folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields

from converters.work import Work

FILE = "variants.json"
FLOAT = "float.tflite"


@dataclass(frozen=True)
class Variant:
    """One quantised file.

    Attributes:
        recipe: its quantisation recipe, and its name.
        file: name in the work folder.
        summary: the recipe's.
        size: bytes.
        compressed: bytes after zlib: what a download costs.
        seconds: the conversion took.
        converter: packages and versions.
        peak_mb: most memory that the converter had.
        float_ops: operator -> how often it computes in float.
        fingerprint: of what it was made from.
        base: the part of that which all variants share: model, pictures, preprocessing.
    """

    recipe: str
    file: str
    summary: str
    size: int
    compressed: int
    seconds: float
    converter: str
    peak_mb: int
    float_ops: dict[str, int] = field(default_factory=dict)
    fingerprint: str = ""
    base: str = ""


def read(work: Work) -> list[Variant]:
    """The variants whose files are there, in the order in which they were made."""
    known = {entry.name for entry in fields(Variant)}
    entries = work.read_json(FILE) or []
    found = [Variant(**{key: value for key, value in entry.items() if key in known}) for entry in entries]
    return [variant for variant in found if work.path(variant.file).exists()]


def write(work: Work, variants: Sequence[Variant]) -> None:
    """Replace the list."""
    work.write_json(FILE, [asdict(variant) for variant in variants])
