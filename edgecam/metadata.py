"""What stands in and behind a model file besides the graph: standard TFLite metadata and an appended zip.

Source: ``metadata_schema.fbs`` of TFLite Metadata, version 1.5 (field numbers below are its), and its rule
that associated files are a zip appended to the flatbuffer. Standard library only.
"""

from __future__ import annotations

import io
import math
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from edgecam import labels
from edgecam.errors import ModelError
from edgecam.flatbuffer import Table, root
from edgecam.tflite import ModelFile

BUFFER = "TFLITE_METADATA"
MAX_MEMBERS = 256
MAX_MEMBER = 32 * 2**20

_IMAGE_PROPERTIES = 2
_NORMALIZATION = 1
_LABEL_FILES = (2, 3)  # TENSOR_AXIS_LABELS, TENSOR_VALUE_LABELS
_COLORS = {1: "rgb", 2: "gray"}


@dataclass(frozen=True)
class Standard:
    """The parts of TFLite Metadata that edgecam uses; what a file does not say is empty.

    Attributes:
        labels: of the first label file that is really there.
        mean: of the input's NormalizationOptions; real = (pixel - mean) / std.
        std: see ``mean``.
        color: ``rgb`` or ``gray``.
        texts: name, version, description, author, licence.
    """

    labels: tuple[str, ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    color: str = ""
    texts: Mapping[str, str] = field(default_factory=dict)


class Appended:
    """The zip behind a model, if there is one. Members are read by exact name and never unpacked to disk.

    Raises:
        ModelError: there is one, but it is broken or over the limits.
    """

    def __init__(self, data: bytes) -> None:
        self._zip: zipfile.ZipFile | None = None
        if not zipfile.is_zipfile(io.BytesIO(data)):
            return
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
        except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError, OverflowError) as error:
            raise _broken(str(error)) from error
        if len(self._zip.infolist()) > MAX_MEMBERS:
            raise _broken(f"{len(self._zip.infolist())} files")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._zip.namelist()) if self._zip else ()

    def read(self, name: str) -> bytes | None:
        """A member's bytes, None if there is none of that name.

        Raises:
            ModelError: damaged, encrypted, or larger than ``MAX_MEMBER`` once unpacked.
        """
        if self._zip is None or name not in self.names:
            return None
        try:
            with self._zip.open(name) as file:
                data = file.read(MAX_MEMBER + 1)
        except (
            zipfile.BadZipFile,
            zlib.error,
            EOFError,
            RuntimeError,
            OSError,
            ValueError,
            OverflowError,
        ) as error:
            raise _broken(f"{name}: {error}") from error
        if len(data) > MAX_MEMBER:
            raise _broken(f"{name} is over {MAX_MEMBER} bytes")
        return data


def standard(model: ModelFile, appended: Appended) -> Standard:
    """Read TFLite Metadata; empty if the model has none.

    Raises:
        ModelError: the metadata is corrupted.
    """
    buffer = model.metadata.get(BUFFER)
    if not buffer:
        return Standard()
    top = root(bytes(buffer), b"M001")
    keys = {"name": 0, "description": 1, "version": 2, "author": 4, "licence": 5}
    texts = {key: text for key, number in keys.items() if (text := top.string(number))}
    graph = next(iter(top.tables(3)), None)
    if graph is None:
        return Standard(texts=texts)
    image = next(iter(graph.tables(2)), None)
    mean, std, color = _image(image) if image else ((), (), "")
    return Standard(_labels(graph, appended), mean, std, color, texts)


def _image(tensor: Table) -> tuple[tuple[float, ...], tuple[float, ...], str]:
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    for unit in tensor.tables(4):
        options = unit.table(1)
        if options is not None and unit.integer(0, "B") == _NORMALIZATION:
            mean, std = options.numbers(0, "f"), options.numbers(1, "f")
    if not all(math.isfinite(v) for v in mean + std) or 0 in std or not mean or not std:
        mean = std = ()
    color = ""
    content = tensor.table(3)
    if content is not None and content.integer(0, "B") == _IMAGE_PROPERTIES:
        properties = content.table(1)
        color = _COLORS.get(properties.integer(0, "b"), "") if properties else ""
    return mean, std, color


def _labels(graph: Table, appended: Appended) -> tuple[str, ...]:
    for tensor in graph.tables(3):
        for entry in tensor.tables(6):
            # Public models name label files that were never appended: nothing to complain about.
            data = appended.read(entry.string(0)) if entry.integer(2, "b") in _LABEL_FILES else None
            if data is not None:
                return labels.decode(data, f"label file {entry.string(0)!r}")
    return ()


def _broken(detail: str) -> ModelError:
    return ModelError(f"the files appended to the model are damaged ({detail})", "download or copy it again")
