"""Model cards: the facts in them are read from the file, the rest is written by hand."""

from __future__ import annotations

import hashlib
from pathlib import Path

from edgecam import contract, tflite
from edgecam.errors import ModelError
from edgecam.tflite import Tensor

BEGIN = "<!-- facts: written by python3 -m converters.bundled -->"
END = "<!-- end of facts -->"


def facts(model: Path) -> str:
    """A Markdown table of what a model file is.

    Raises:
        ModelError: the file is broken or has no contract.
    """
    file = tflite.load(model)
    spec = contract.read(model)
    if spec is None:
        raise ModelError(f"{model} has no contract", "embed one with converters.embed")
    named = sum(map(bool, spec.labels))
    slots = f" in {len(spec.labels)} slots" if named != len(spec.labels) else ""
    rows = {
        "file": f"`{model.name}`",
        "sha256": f"`{hashlib.sha256(file.data).hexdigest()}`",
        "size": f"{len(file.data):,} bytes",
        "origin": spec.origin,
        "licence": spec.licence,
        "task, decoder": f"{spec.task}, `{spec.decoder}`",
        "input": f"{_tensor(file.inputs[0])}, {spec.color}, {spec.resize}",
        "normalisation": f"(pixel - {_values(spec.mean)}) / {_values(spec.std)}",
        "outputs": "; ".join(_tensor(tensor) for tensor in file.outputs),
        "labels": f"{named}{slots}",
        "operators": str(file.operators),
    }
    lines = ["| | |", "| --- | --- |", *(f"| {name} | {value} |" for name, value in rows.items())]
    return "\n".join(lines)


def _tensor(tensor: Tensor) -> str:
    return f"`{tensor.name}` {'x'.join(map(str, tensor.shape))} {tensor.dtype}"


def _values(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:g}" for value in values)


def with_facts(card: str, table: str) -> str:
    """A card's text with its table of facts replaced.

    Raises:
        ModelError: the card has no place for one.
    """
    before, begin, rest = card.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ModelError("the card has no place for the facts", f"write {BEGIN} and {END} into it")
    return f"{before}{BEGIN}\n{table}\n{END}{after}"


def read_facts(card: str) -> dict[str, str]:
    """The table in a card: name -> value."""
    table = card.partition(BEGIN)[2].partition(END)[0]
    cells = (line.strip("| ").split(" | ", 1) for line in table.splitlines() if line.startswith("| "))
    return {row[0]: row[1] for row in cells if len(row) == 2 and row[0] != "---"}
