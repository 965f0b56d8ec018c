"""What each bundled model's builder offers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from converters import passport
from converters.bundled import photographs
from converters.embed import named
from edgecam.contract import ModelSpec
from edgecam.types import Image

#: What the bundled models are judged on; the fingerprint is the sha256 of the files' sorted sha256s as text.
JUDGED_ON = {
    "what": "64 pictures of COCO val2017 with 461 objects",
    "pictures": {"test": 64},
    "fingerprint": "b86b358cd64d195fd1920c765a10589c4f655f473e9d3cd59acf9ba13a7485ad",
}
DATE = "2026-11-25"


@dataclass(frozen=True)
class Recipe:
    """One bundled model.

    Attributes:
        spec: its contract; the names of its outputs and the golden samples are filled in from the file.
        roles: the role of each output, in the order of the file.
        build: makes the bare model; takes the folder for downloads.
    """

    spec: ModelSpec
    roles: Sequence[str]
    build: Callable[[Path], bytes]

    def make(self, cache: Path) -> bytes:
        """The finished file; its golden samples are views of the photographs that anybody may ship."""
        views = (view for picture in photographs.load(cache) for view in photographs.views(picture))
        return finish(self.build(cache), self.spec, self.roles, views)


def finish(
    model: bytes, spec: ModelSpec, roles: Sequence[str], pictures: Iterable[Image] | None = None
) -> bytes:
    """A bare model with its contract, in which the outputs stand by name.

    Args:
        pictures: candidates for golden samples; None for a file without.
    """
    spec = named(model, spec, roles)
    return passport.seal(model, spec, spec.report, pictures)
