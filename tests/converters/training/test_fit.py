"""Training: repeatable, resumed exactly, stopped where it should be."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converters.training.feed import JudgeFeed, TrainFeed
from converters.training.plan import Plan
from edgecam.errors import EdgecamError, UsageError
from tests.converters.training.pictures import NAMES, Memory, Remembering

pytestmark = pytest.mark.convert

SMALL = Plan(epochs=3, batch=40, rate=0.01, shift=0.0)
EVERYTHING = {
    "epochs": 3,
    "batch": 30,
    "ema": 0.9,
    "rotate": 10,
    "zoom": 0.1,
    "brightness": 0.1,
    "contrast": 0.1,
    "saturation": 0.2,
    "cutout": 0.25,
    "mixup": 0.2,
    "head_epochs": 1,
}


def network(**more: Any) -> Any:
    from converters.training import networks

    return networks.build("plain", 3, widths=(8, 8, 8), **more)


def train(model: Any, plan: Plan, folder: Path, **more: Any) -> tuple[Any, Remembering]:
    from converters.training.fit import fit

    report = Remembering()
    feed = more.pop("feed", None) or TrainFeed(Memory(), plan, 3)  # type: ignore[arg-type]
    return fit(model, feed, plan, folder, report, mark=more.pop("mark", "mark"), **more), report


def fitting(folder: Path, **settings: Any) -> tuple[int, list[float], list[np.ndarray]]:
    """Exit code, losses and final weights of a training in a process of its own."""
    command = [sys.executable, "-m", "tests.converters.training.fitting", str(folder), json.dumps(settings)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode:
        return done.returncode, [], []
    with np.load(folder / "weights.npz") as file:
        return 0, json.loads(done.stdout), [file[name] for name in file.files]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_killed_training_goes_on_to_the_same_weights(tmp_path: Path, precision: str) -> None:
    settings = {**EVERYTHING, "precision": precision}
    if precision == "bfloat16":  # slow on processors that do not know it
        settings |= {"pictures": 20, "batch": 10}
    code, losses, weights = fitting(tmp_path / "whole", **settings)
    assert code == 0
    assert fitting(tmp_path / "killed", **settings, kill=(2, 1))[0] == -9
    code, again, resumed = fitting(tmp_path / "killed", **settings)
    assert code == 0
    assert again == losses
    assert all((a == b).all() for a, b in zip(weights, resumed, strict=True))


def test_figures_are_means_of_all_batches(tmp_path: Path) -> None:
    memory = Memory(60)
    labels = np.eye(3, dtype=np.float32)[memory.classes]
    still = replace(SMALL, epochs=1, batch=20, rate=1e-9, weight_decay=0.0)
    model = network()
    before = model.get_weights()

    class Some:
        def __init__(self, *parts: int) -> None:
            self.parts, self.steps = parts, len(parts)

        def epoch(self, number: int) -> Iterator[Any]:
            for part in self.parts:
                chosen = slice(20 * part, 20 * part + 20)
                yield memory.x[chosen], labels[chosen]

    def row(*parts: int) -> dict[str, float]:
        model.set_weights(before)
        done, _ = train(model, still, tmp_path / str(parts), feed=Some(*parts))
        return dict(done.history[0])

    alone = [row(part) for part in range(3)]
    assert len({one["loss"] for one in alone}) == 3
    together = row(0, 1, 2)
    for figure in ("loss", "accuracy"):
        assert together[figure] == pytest.approx(np.mean([one[figure] for one in alone]), rel=1e-3)


def test_another_seed_is_another_training(tmp_path: Path) -> None:
    short = {"epochs": 1, "batch": 40}
    first, second = (fitting(tmp_path / str(seed), **short, seed=seed) for seed in (0, 1))
    assert first[1] != second[1]


def test_it_learns_and_the_judge_sees_it(tmp_path: Path) -> None:
    from converters.training.judging import classifier_judge

    judge = classifier_judge(JudgeFeed(Memory(60, seed=2)), NAMES)  # type: ignore[arg-type]
    model = network()
    done, report = train(model, replace(SMALL, epochs=20, batch=20, ema=0.8), tmp_path, judge=judge)
    assert done.epochs == 20
    assert done.history[-1]["loss"] < 0.6 * done.history[0]["loss"]
    assert done.history[-1]["validation"] == judge(model)
    assert judge(model)["recall"] > 0.8
    assert "epoch 20/20: loss" in report.lines[-1]
    assert done.kept == 20


def test_what_is_done_is_not_trained_again_and_another_mark_begins_anew(tmp_path: Path) -> None:
    model, same, other = network(), network(), network()
    done, _ = train(model, SMALL, tmp_path)
    again, report = train(same, SMALL, tmp_path)
    assert again == done
    assert report.lines == ["training goes on after epoch 3 of 3"]
    assert all((a == b).all() for a, b in zip(model.get_weights(), same.get_weights(), strict=True))
    anew, report = train(other, SMALL, tmp_path, mark="other")
    assert "training begins anew" in report.lines[0]
    assert [row["epoch"] for row in anew.history] == [1, 2, 3]


def test_the_best_weights_are_kept_and_patience_ends_it(tmp_path: Path) -> None:
    scores = iter([0.5, 0.9, 0.4, 0.3, 0.2, 0.1])
    seen = []

    def judge(model: Any) -> dict[str, float]:
        seen.append(model.get_weights())
        return {"score": next(scores)}

    model = network()
    plan = replace(SMALL, epochs=6, keep="best", patience=2)
    done, report = train(model, plan, tmp_path, judge=judge)
    assert (done.epochs, done.kept, done.best["epoch"]) == (4, 2, 2)
    assert done.stopped == "no better score in 2 epochs"
    assert report.lines[-1] == "stopped early: no better score in 2 epochs"
    assert all((a == b).all() for a, b in zip(model.get_weights(), seen[1], strict=True))


class Poisoned(TrainFeed):
    """Its labels are no numbers from an epoch on."""

    since = 1

    def epoch(self, number: int) -> Iterator[Any]:
        for x, y, weight in super().epoch(number):
            yield x, y * (math.nan if number >= self.since else 1), weight


def test_a_loss_that_is_no_number_stops_it_and_the_last_good_weights_are_kept(tmp_path: Path) -> None:
    from converters.training import files

    plan = replace(SMALL, ema=0.5)
    good = network()
    seen: list[Any] = []

    def judge(model: Any) -> dict[str, float]:
        seen.append(model.get_weights())
        return {"score": 0.0}

    with pytest.raises(EdgecamError, match=r"NaN or infinite in epoch 2; .*last-good.keras .* after epoch 1"):
        train(good, plan, tmp_path, feed=Poisoned(Memory(), plan, 3), judge=judge)  # type: ignore[arg-type]
    kept = files.load_model(tmp_path / "last-good.keras")
    assert all((a == b).all() for a, b in zip(kept.get_weights(), seen[0], strict=True))
    Poisoned.since = 0
    with pytest.raises(EdgecamError, match="in epoch 1: lower rate"):
        train(network(), plan, tmp_path / "first", feed=Poisoned(Memory(), plan, 3))  # type: ignore[arg-type]
    assert not (tmp_path / "first").exists()


def test_in_head_epochs_only_new_layers_learn_and_frozen_ones_never(tmp_path: Path) -> None:
    model = network()
    before = {layer.name: layer.get_weights() for layer in model.layers if layer.weights}
    plan = replace(SMALL, epochs=1, head_epochs=1, frozen=("stem", "block1_*"))

    def changed() -> set[str]:
        return {
            name
            for name, weights in before.items()
            if any((a != b).any() for a, b in zip(weights, model.get_layer(name).get_weights(), strict=True))
        }

    seen = []

    def judge(_: Any) -> dict[str, float]:
        seen.append(changed())
        return {"score": 1.0}

    train(model, plan, tmp_path, judge=judge)
    assert seen[0] == {"logits"}
    assert seen[1] == {name for name in before if name != "stem" and not name.startswith("block1_")}
    assert all(layer.trainable for layer in model.layers)
    with pytest.raises(UsageError, match=r"no layer is called 'blokc\*': plain has stem, block1_conv1"):
        train(network(), replace(SMALL, frozen=("blokc*",)), tmp_path / "b")
    with pytest.raises(UsageError, match="every layer is frozen"):
        train(network(), replace(SMALL, frozen=("*",)), tmp_path / "c")


def test_a_full_disk_is_said_and_the_older_checkpoint_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import resource

    from converters.training import state

    train(network(), replace(SMALL, epochs=1), tmp_path)
    before = (tmp_path / state.FILE).read_bytes()
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limit[1]))
    try:
        with pytest.raises(EdgecamError, match=r"cannot write .*state.npz"):
            train(network(), SMALL, tmp_path, mark="other")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert (tmp_path / state.FILE).read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == [state.FILE]


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    from converters.training import state

    train(network(), replace(SMALL, epochs=1), tmp_path)
    path = tmp_path / state.FILE
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(EdgecamError, match=r"state.npz cannot be read .*: delete it"):
        train(network(), SMALL, tmp_path)


def test_decay_spares_biases_and_normalisation() -> None:
    from converters.training import schedule, trainers

    plan = replace(SMALL, optimizer="sgd", rate=0.1, warmup=0.0, weight_decay=0.5, schedule="constant")
    trainer = trainers.Trainer(network(), plan)
    trainer.compile(optimizer=schedule.optimizer(plan, 10, plan.rate), loss=trainers.loss(plan))
    optimizer = trainer.optimizer
    optimizer.build(trainer.trainable_variables)
    before = {v.path: np.array(v) for v in trainer.trainable_variables}
    optimizer.apply([np.zeros(v.shape, np.float32) for v in trainer.trainable_variables])
    for variable in trainer.trainable_variables:
        share = 0.95 if variable.name == "kernel" else 1.0
        assert np.array(variable) == pytest.approx(share * before[variable.path], rel=1e-5)


@pytest.mark.parametrize("kind", ["cosine", "triangular", "constant"])
def test_the_rate_rises_and_falls(kind: str) -> None:
    from converters.training.schedule import OneCycle

    made = OneCycle(0.4, 100, 25, start=0.08, end=0.004, kind=kind)
    rates = np.array([float(made(step)) for step in range(100)])
    assert (np.diff(rates[:25]) > 0).all()
    assert rates[24] == pytest.approx(0.4)
    assert rates[0] == pytest.approx(0.08 + 0.32 / 25)
    if kind == "constant":
        assert rates[25:] == pytest.approx(0.4)
    else:
        assert (np.diff(rates[25:]) < 0).all()
        assert rates[-1] == pytest.approx(0.004)
    assert float(OneCycle(**made.get_config())(7)) == rates[7]


def test_a_training_moved_to_a_machine_of_another_precision_goes_on(tmp_path: Path) -> None:
    """What ``auto`` does where a checkpoint meets another processor."""
    import keras

    class Ended(TrainFeed):
        def epoch(self, number: int) -> Iterator[Any]:
            if number == 1:
                raise KeyboardInterrupt
            yield from super().epoch(number)

    plan = replace(SMALL, epochs=2, batch=10, ema=0.8)
    pictures: Any = Memory(20)
    begun = replace(plan, precision="bfloat16")
    keras.utils.set_random_seed(1)
    with pytest.raises(KeyboardInterrupt):
        train(network(), begun, tmp_path, feed=Ended(pictures, begun, 3))
    done, report = train(network(), plan, tmp_path, feed=TrainFeed(pictures, plan, 3))
    assert report.lines[:2] == [
        "training goes on after epoch 1 of 2",
        "it goes on in float32; it began in bfloat16",
    ]
    keras.utils.set_random_seed(1)
    straight, _ = train(network(), plan, tmp_path / "straight", feed=TrainFeed(pictures, plan, 3))
    # Rounding apart it is the same training: the rate has gone on falling, the optimizer has its moments.
    assert [row["rate"] for row in done.history] == [row["rate"] for row in straight.history]
    for row, other in zip(done.history, straight.history, strict=True):
        assert row["loss"] == pytest.approx(other["loss"], rel=0.1)
