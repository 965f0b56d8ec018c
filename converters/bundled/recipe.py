"""What each bundled model's builder offers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from converters.embed import embed
from edgecam import tflite
from edgecam.contract import ModelSpec


@dataclass(frozen=True)
class Recipe:
    """One bundled model.

    Attributes:
        spec: its contract; the names of its outputs are filled in from the file.
        roles: the role of each output, in the order of the file.
        build: makes the bare model; takes the folder for downloads.
    """

    spec: ModelSpec
    roles: Sequence[str]
    build: Callable[[Path], bytes]

    def make(self, cache: Path) -> bytes:
        """The finished file."""
        return finish(self.build(cache), self.spec, self.roles)


def finish(model: bytes, spec: ModelSpec, roles: Sequence[str]) -> bytes:
    """A bare model with its contract, in which the outputs stand by name."""
    names = [tensor.name for tensor in tflite.parse(model).outputs]
    named = replace(spec, outputs=dict(zip(roles, names, strict=True)))
    return embed(model, named, roles)
