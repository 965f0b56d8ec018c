"""Pruning in rounds: cut, fine-tune, and so on until the target is reached. Each round that is done is kept,
so a killed run goes on from there. Needs TensorFlow."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras

from converters import layergraph
from converters.files import write_whole
from converters.pruning.rules import MAKES
from converters.pruning.sparse import Sparse
from converters.pruning.structured import Structured
from converters.shrinking import Shrinking, said_of
from converters.training import files

LOG = "rounds.json"


@dataclass(frozen=True)
class Epochs:
    """How long is trained.

    Attributes:
        each: epochs after each round but the last.
        last: after the last.
        slim: before the first, with L1 regularisation.
        strength: of that.
        gammas: it is for the scales of batch normalisation, not for kernels.
    """

    each: int
    last: int
    slim: int = 0
    strength: float = 1e-4
    gammas: bool = False


class Rounds:
    """One pruning.

    Args:
        task: the network, its pictures and its training.
        method: what is done in a round.
        epochs: how long is trained.
        folder: for what is done; the caller removes it in the end.
        mark: stands for all that the result depends on: rounds with another one are not gone on from.
    """

    def __init__(
        self, task: Shrinking, method: Structured | Sparse, epochs: Epochs, folder: Path, mark: str
    ) -> None:
        self._task, self._method, self._epochs = task, method, epochs
        self._folder, self._mark = folder, mark
        self._rows: list[dict[str, Any]] = []

    def run(self) -> tuple[Any, list[dict[str, Any]]]:
        """All rounds that are not done yet.

        Returns:
            The network, and a row for each round: ``round`` (0 for the start), ``goal``, ``reached``,
            ``macs``, ``parameters``, ``cut`` and ``tuned`` (accuracy before and after fine-tuning; {} without
            validation pictures), ``fit`` and what the method says.
        """
        began = self._method.check(self._task.model)
        network = self._resumed()
        if network is None:
            network = self._slimmed()
            self._begin(network, began)
        for number in range(len(self._rows), self._method.rounds + 1):
            network = self._round(network, number, began)
        last = self._rows[-1]
        if not self._method.met(last["reached"]):
            self._task.report.warn(f"the target is not quite met: {last['reached']:.3g}, see the last round")
        return network, self._rows

    def _begin(self, network: Any, began: float) -> None:
        from converters.pruning import cost
        from converters.pruning.channels import trace

        found = cost.of(trace(layergraph.read(network)))
        accuracy = self._task.accuracy(network)
        self._done(network, {"round": 0, "reached": began, **asdict(found), "tuned": accuracy})

    def _round(self, network: Any, number: int, began: float) -> Any:
        with self._task.report.progress(f"round {number}: choosing what leaves") as advance:
            advance(0, None)
            network, facts = self._method.shrink(network, number, began)
        row = {"round": number, **facts, "cut": self._task.accuracy(network)}
        epochs = self._epochs.last if number == self._method.rounds else self._epochs.each
        if epochs:
            with self._method.holding(network):
                fitted = self._task.fine_tune(
                    network, epochs, self._folder / "fit", f"{self._mark}:{number}", itself=self._masked
                )
            row["fit"] = said_of(fitted)
            files.remove(self._folder / "fit")
        row["tuned"] = self._task.accuracy(network) if epochs else row["cut"]
        self._done(network, row)
        return network

    @property
    def _masked(self) -> bool:
        return isinstance(self._method, Sparse)

    def _slimmed(self) -> Any:
        """The network after training that draws weights to zero, where that is wanted."""
        if not self._epochs.slim:
            return self._task.model
        network = layergraph.copy(self._task.model)
        with _drawn(network, self._epochs):
            self._task.fine_tune(
                network, self._epochs.slim, self._folder / "fit", f"{self._mark}:slim", itself=True
            )
        files.remove(self._folder / "fit")
        return network

    def _done(self, network: Any, row: dict[str, Any]) -> None:
        self._rows.append(row)
        self._task.report.line(told(row, self._rows[0]))
        files.save_model(network, self._model(row["round"]))
        content = {"mark": self._mark, "rows": self._rows}
        write_whole(self._folder / LOG, json.dumps(content).encode())
        self._model(row["round"] - 1).unlink(missing_ok=True)

    def _model(self, number: int) -> Path:
        return self._folder / f"round-{number}.keras"

    def _resumed(self) -> Any:
        """The network of the last round that an earlier run has done, None without one."""
        try:
            found = json.loads((self._folder / LOG).read_bytes())
        except (OSError, ValueError):
            return None
        last = found["rows"][-1]["round"]
        if found["mark"] != self._mark or not self._model(last).exists():
            self._task.report.line("pruning begins anew: options, pictures or model have changed")
            return None
        self._rows = found["rows"]
        self._task.report.line(f"pruning goes on after round {last} of {self._method.rounds}")
        return files.load_model(self._model(last))


@contextmanager
def _drawn(network: Any, epochs: Epochs) -> Iterator[None]:
    """While inside, the loss counts the absolute values of filters, or of batch normalisation's scales."""
    names = ("gamma",) if epochs.gammas else ("kernel", "pointwise_kernel")
    layers = [layer for layer in network.layers if epochs.gammas or type(layer).__name__ in MAKES]
    found = [variable for layer in layers for variable in layer.weights if variable.name in names]
    before = [variable.regularizer for variable in found]
    for variable in found:
        variable.regularizer = keras.regularizers.L1(epochs.strength)
    try:
        yield
    finally:
        for variable, regularizer in zip(found, before, strict=True):
            variable.regularizer = regularizer


def told(row: dict[str, Any], first: dict[str, Any]) -> str:
    """A round in a line."""
    text = f"round {row['round']}: " if row["round"] else "before: "
    text += f"{row['macs'] / 1e6:.1f} million multiply-accumulates, {row['parameters']:,} parameters"
    if "compressed" in row:
        text += f", {100 * row['reached']:.0f}% zeros, {row['compressed'] / 1000:.0f} kB compressed"
    if row.get("cut"):
        text += f"; right {100 * row['cut']['accuracy']:.1f}% after the cut,"
        text += f" {100 * row['tuned']['accuracy']:.1f}% after training"
        text += f" (before all {100 * first['tuned']['accuracy']:.1f}%)"
    elif row.get("tuned"):
        text += f"; right {100 * row['tuned']['accuracy']:.1f}%"
    return text
