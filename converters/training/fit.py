"""The training itself: epochs with a checkpoint after each, from which a killed run goes on exactly. Needs
TensorFlow."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from converters.steps.base import Report
from converters.training import precision, rows, spread, state, statistics, trainers
from converters.training.feed import Feed
from converters.training.freeze import freeze, trainable_kept
from converters.training.judging import Judge
from converters.training.plan import Plan
from converters.training.schedule import optimizer
from edgecam.errors import EdgecamError
from edgecam.types import Array

LAST_GOOD = "last-good.keras"

MakeTrainer = Callable[[Any, Plan], Any]


@dataclass
class Fitted:
    """How a training went.

    Attributes:
        epochs: that were trained.
        seconds: of training, all runs together.
        history: of each epoch ``epoch``, ``loss``, ``accuracy``, ``rate``, ``seconds`` and, with a judge,
            its figures under ``validation``.
        best: the epoch with the best score and that score, empty without a judge.
        kept: the epoch whose weights the model has.
        stopped: why it ended before the last epoch, "" if it did not.
    """

    epochs: int = 0
    seconds: float = 0.0
    history: list[dict[str, Any]] = field(default_factory=list)
    best: dict[str, Any] = field(default_factory=dict)
    kept: int = 0
    stopped: str = ""


class _Phase(NamedTuple):
    """
    Attributes:
        first, last: epochs, from 0; ``last`` is the next phase's first.
        rate: highest learning rate.
        head: only new layers learn.
    """

    first: int
    last: int
    rate: float
    head: bool


def fit(
    model: Any,
    train: Feed,
    plan: Plan,
    folder: Path,
    report: Report,
    *,
    mark: str,
    judge: Judge | None = None,
    trainer: MakeTrainer | None = None,
    loss: Any = None,
    metrics: Sequence[Any] | None = None,
    new: Sequence[str] = ("logits",),
    itself: bool = False,
) -> Fitted:
    """Train a network.

    Args:
        model: functional; it has the trained weights in the end.
        train: batches to learn from.
        plan: how to train.
        folder: for checkpoints. What lies there with the same mark is gone on from.
        report: hears what happens.
        mark: stands for all that the result depends on.
        judge: called with the model after each epoch; the higher its ``score`` the better.
        trainer: makes what is trained, around the network; :class:`converters.training.trainers.Trainer`.
        loss: of the trainer; cross entropy of logits.
        metrics: of the trainer; accuracy.
        new: names of the layers that begin with random weights: those that learn in ``plan.head_epochs``.
        itself: train the network, not a copy in the plan's precision, because its variables carry more than
            their values: constraints, regularisers.

    Raises:
        EdgecamError: the loss is no number any more (the last good checkpoint is kept), or a checkpoint
            cannot be written.
    """
    makes = trainer or trainers.Trainer
    compiled = {
        "loss": trainers.loss(plan) if loss is None else loss,
        "metrics": ["categorical_accuracy"] if metrics is None else list(metrics),
    }
    run = _Run(model, train, plan, folder, report, mark, judge, makes, compiled, tuple(new), itself)
    return run.run()


def _phases(plan: Plan) -> list[_Phase]:
    head, total = plan.head_epochs, plan.head_epochs + plan.epochs
    phases = [_Phase(head, total, plan.rate, False)]
    return [_Phase(0, head, plan.head_rate, True), *phases] if head else phases


@dataclass
class _Run:
    """One call of :func:`fit`."""

    model: Any
    train: Feed
    plan: Plan
    folder: Path
    report: Report
    mark: str
    judge: Judge | None
    makes: MakeTrainer
    compiled: Mapping[str, Any]
    new: tuple[str, ...]
    itself: bool
    done: Fitted = field(default_factory=Fitted)
    net: Any = None
    twin: Any = None
    trainer: Any = None

    def run(self) -> Fitted:
        """All phases that are not done yet."""
        saved = self._saved()
        spread.agreed("the epochs that are done", self.done.epochs)
        with trainable_kept(self.model):
            for phase in _phases(self.plan):
                if self.done.epochs > phase.last:
                    continue
                self._enter(phase)
                if saved is not None:
                    state.assign(self._variables(), saved)
                    saved = None
                while self.done.epochs < phase.last and not self.done.stopped:
                    self._epoch(phase)
                precision.carry(self.net, self.model)
            self._keep()
        return self.done

    @property
    def total(self) -> int:
        return self.plan.head_epochs + self.plan.epochs

    def _saved(self) -> list[Array] | None:
        """The variables of an earlier run; its history is taken over."""
        found = state.read(self.folder / state.FILE)
        if found is None:
            return None
        arrays, note = found
        if note["mark"] != self.mark:
            self.report.line("training begins anew: options, pictures or model have changed")
            return None
        self.done = Fitted(**note["done"])
        self.report.line(f"training goes on after epoch {self.done.epochs} of {self.total}")
        began = note.get("precision", self.plan.precision)
        if began != self.plan.precision:
            # Variables are float32 in either case: they fit. In the old one this machine might be very slow.
            self.report.line(f"it goes on in {self.plan.precision}; it began in {began}")
        return arrays

    def _enter(self, phase: _Phase) -> None:
        """Make the network and the trainer of a phase."""
        others = [layer.name for layer in self.model.layers if layer.name not in self.new]
        freeze(self.model, (*self.plan.frozen, *(others if phase.head else ())))
        self.net = self.model if self.itself else precision.working(self.model, self.plan.precision)
        self.twin = None
        self.trainer = self.makes(self.net, self.plan)
        steps = (phase.last - phase.first) * self.train.steps
        self.trainer.compile(
            optimizer=optimizer(self.plan, steps, phase.rate),
            jit_compile=trainers.compiles(),
            **self.compiled,
        )
        self.trainer.optimizer.build(self.trainer.trainable_variables)

    def _variables(self) -> list[Any]:
        """All that changes: weights, generators of random numbers, the optimizer's own."""
        teacher = getattr(self.trainer, "teacher", None)
        constant = {id(variable) for variable in teacher.variables} if teacher is not None else set()
        own = [variable for variable in self.trainer.variables if id(variable) not in constant]
        return [*own, *self.trainer.optimizer.variables]

    def _epoch(self, phase: _Phase) -> None:
        number = self.done.epochs
        began = time.monotonic()
        logs = self._steps(number)
        row = rows.row(number, logs, float(self.trainer.optimizer.learning_rate), phase.head)
        raw = state.values(self.net.variables)
        self._average()
        precision.carry(self.net, self.model)
        if self.judge is not None:
            row["validation"] = dict(self.judge(self.model))
        self.done.epochs = number + 1
        row["seconds"] = round(time.monotonic() - began, 2)
        self.done.seconds = round(self.done.seconds + row["seconds"], 2)
        self.done.history.append(row)
        self.report.line(rows.told(row, self.total))
        self._note_best(row)
        if self.plan.ema:
            state.assign(self.net.variables, raw)
        self._save()

    def _steps(self, number: int) -> dict[str, float]:
        """Train an epoch; the means of its losses and metrics."""
        self.trainer.reset_metrics()
        logs: dict[str, float] = {}
        mean = trainers.Mean()
        with self.report.progress(f"epoch {number + 1}/{self.total}") as advance:
            for step, batch in enumerate(self.train.epoch(number), 1):
                found = self.trainer.train_on_batch(*batch, return_dict=True)
                logs = mean.of({key: float(value) for key, value in found.items()})
                if not math.isfinite(logs["loss"]):
                    self._lost(number)
                advance(step, self.train.steps)
        return logs

    def _average(self) -> None:
        """Give the network the moving average of its weights, where there is one."""
        if self.plan.ema:
            learnt = self.trainer.trainable_variables
            self.trainer.optimizer.finalize_variable_values(learnt)
            # On JAX weight and average are one array now, and a step gives its arrays away.
            state.assign(learnt, state.values(learnt))
            self._settle()

    def _settle(self) -> None:
        """Count statistics for averaged weights."""
        if not trainers.compiles():
            statistics.settle(self.net, self.train.epoch(0))
            return
        # Each JAX host by itself on whole batches: with shares of them they would not agree.
        with spread.apart():
            if self.twin is None:
                self.twin = precision.working(self.net, "float32")  # layers keep what they compute in
            else:
                precision.carry(self.net, self.twin)
            statistics.settle(self.twin, spread.whole(self.train).epoch(0))
        precision.carry(self.twin, self.net)

    def _lost(self, number: int) -> None:
        """The loss is no number: keep what was good."""
        message = f"the loss became NaN or infinite in epoch {number + 1}"
        remedy = f"lower rate (now {self.plan.rate:g}), or set clip = 1"
        found = state.read(self.folder / state.FILE) if number else None
        if found is None or found[1]["mark"] != self.mark:
            raise EdgecamError(message, remedy)
        if self.trainer is not None and len(found[0]) == len(self._variables()):
            state.assign(self._variables(), found[0])
            self._average()
            precision.carry(self.net, self.model)
        from converters.training.files import save_model

        kept = self.folder / LAST_GOOD
        save_model(self.model, kept)
        raise EdgecamError(f"{message}; {kept} has the weights after epoch {number}", remedy)

    def _note_best(self, row: Mapping[str, Any]) -> None:
        if "validation" not in row:
            return
        score = row["validation"]["score"]
        if not self.done.best or score > self.done.best["score"]:
            self.done.best = {"epoch": row["epoch"], "score": score}
            if self.plan.keep == "best":
                note = {"mark": self.mark, "epoch": row["epoch"]}
                state.write(self.folder / state.BEST, state.values(self.model.variables), note)
        waited = row["epoch"] - max(self.done.best["epoch"], self.plan.head_epochs)
        if self.plan.patience and waited >= self.plan.patience and row["epoch"] < self.total:
            self.done.stopped = f"no better score in {waited} epochs"
            self.report.line(f"stopped early: {self.done.stopped}")

    def _save(self) -> None:
        note = {"mark": self.mark, "done": vars(self.done), "precision": self.plan.precision}
        state.write(self.folder / state.FILE, state.values(self._variables()), note)

    def _keep(self) -> None:
        """Leave in the model what is kept."""
        self._average()
        precision.carry(self.net, self.model)
        self.done.kept = self.done.epochs
        best = state.read(self.folder / state.BEST) if self.plan.keep == "best" and self.done.best else None
        if best is not None and best[1]["mark"] == self.mark:
            state.assign(self.model.variables, best[0])
            self.done.kept = best[1]["epoch"]
