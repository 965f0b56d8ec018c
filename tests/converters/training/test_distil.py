"""A student learns from a teacher."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converters.training.feed import TrainFeed
from converters.training.plan import Plan
from edgecam.errors import ModelError, UsageError
from tests.converters.training.pictures import Memory, Remembering

PLAN = Plan(epochs=20, batch=24, rate=0.003, smoothing=0.1, shift=0.0)


def network(classes: int = 3, width: int = 8, size: int = 32) -> Any:
    from converters.training import networks

    return networks.build("plain", classes, (size, size), widths=(width, width, width))


def answers(model: Any, memory: Memory) -> np.ndarray:
    return np.asarray(model.predict_on_batch(memory.x.astype(np.float32))).argmax(1)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from converters.training.fit import fit

    model = network(width=16)
    feed = TrainFeed(Memory(240), PLAN, 3)  # type: ignore[arg-type]
    fit(model, feed, PLAN, tmp_path_factory.mktemp("teacher"), Remembering(), mark="teacher")
    assert (answers(model, Memory(60, seed=2)) == Memory(60, seed=2).classes).mean() > 0.8
    return model


@pytest.mark.convert
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_student_learns_from_the_teacher_alone(tmp_path: Path, teacher: Any, precision: str) -> None:
    from dataclasses import replace

    from converters.training import distil
    from converters.training.fit import fit

    before = teacher.get_weights()
    unlabelled = Memory(240)
    unlabelled.classes = np.random.default_rng(0).integers(0, 3, len(unlabelled))
    plan = replace(PLAN, precision=precision)
    student = network(width=16)
    makes = distil.trainer(teacher, weight=1.0, features=("block2_act2", "block1_act2:block1_act1"))
    feed = TrainFeed(unlabelled, plan, 3)  # type: ignore[arg-type]
    done = fit(student, feed, plan, tmp_path, Remembering(), mark="student", trainer=makes)
    unseen = Memory(60, seed=2)
    assert (answers(student, unseen) == answers(teacher, unseen)).mean() > 0.7
    assert all((a == b).all() for a, b in zip(before, teacher.get_weights(), strict=True))
    assert done.history[-1]["distillation_loss"] < done.history[0]["distillation_loss"]


@pytest.mark.convert
def test_one_run_of_the_student_does_for_answer_and_features(teacher: Any) -> None:
    """As Keras's own, which runs it twice; without augmentation and in inference both see the same."""
    import keras

    from converters.training import distil, heads, trainers

    student = network()
    made = distil.trainer(teacher, weight=0.6, features=("block2_act2",))(student, PLAN)
    theirs = keras.distillation.Distiller(
        heads.logits(teacher),
        heads.logits(student),
        made.distillation_losses,
        made.distillation_loss_weights,
        student_loss_weight=0.4,
    )
    memory = Memory(16)
    x, y = memory.x.astype(np.float32), np.eye(3, dtype=np.float32)[memory.classes]
    for model in (made, theirs):
        model.compile(loss=trainers.loss(PLAN))
    for layer in student.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False  # the same statistics in both runs
    losses = [float(model.compute_loss(x, y, model(x, training=True))) for model in (made, theirs)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


@pytest.mark.convert
def test_the_loss_is_the_divergence_of_softened_scores(teacher: Any) -> None:
    from converters.training import distil, heads, trainers

    student = network()
    made = distil.trainer(teacher, temperature=3.0, weight=1.0)(student, PLAN)
    made.compile(loss=trainers.loss(PLAN))
    x = Memory(16).x.astype(np.float32)

    def softened(model: Any) -> np.ndarray:
        raised = np.exp(np.asarray(heads.logits(model)(x), np.float64) / 3)
        return raised / raised.sum(1, keepdims=True)

    p, q = softened(teacher), softened(student)
    wanted = 9 * (p * np.log(p / q)).sum(1).mean()
    y = np.eye(3, dtype=np.float32)[[0] * 16]
    found = float(made.compute_loss(x, y, made(x, training=False)))
    assert found == pytest.approx(wanted, rel=1e-3)


@pytest.mark.convert
def test_layers_that_cannot_be_compared_are_named(teacher: Any) -> None:
    from converters.training import distil

    def make(feature: str, size: int = 32) -> None:
        distil.trainer(teacher, features=(feature,))(network(size=size), PLAN)

    with pytest.raises(UsageError, match=r"the teacher has no layer 'blok2': it has .*block2_act2"):
        make("blok2:block2_act2")
    with pytest.raises(UsageError, match="the student has no layer 'nothing'"):
        make("block2_act2:nothing")
    with pytest.raises(UsageError, match="layer 'pool' of the teacher gives no map"):
        make("pool:block2_act2")
    with pytest.raises(UsageError, match=r"maps of 15x15 \(teacher, .*\) and 7x7 .* cannot be compared"):
        make("block1_act2:block2_act2")


@pytest.mark.convert
def test_attention_does_not_care_for_channels_and_scale() -> None:
    from converters.training.distil import AttentionLoss

    rng = np.random.default_rng(0)
    small = np.abs(rng.normal(size=(2, 4, 4, 3))).astype(np.float32)
    wide = np.repeat(5 * small, 2, axis=3)
    loss = AttentionLoss(reduction=None)
    assert np.asarray(loss(wide, small)) == pytest.approx(0, abs=1e-6)
    assert np.asarray(loss(small.repeat(2, 1).repeat(2, 2), small)) == pytest.approx(0, abs=1e-6)
    assert np.asarray(loss(small[:, ::-1], small)).min() > 0.01


@pytest.mark.convert
def test_logits_of_a_foreign_teacher() -> None:
    import keras

    from converters.training import heads

    layers = keras.layers
    rng = np.random.default_rng(0)
    x = rng.normal(size=(5, 4)).astype(np.float32)

    def scores(model: Any) -> Any:
        return np.asarray(keras.ops.softmax(heads.logits(model)(x)))

    image = keras.Input((4,))
    for end in (
        layers.Dense(3, activation="softmax")(image),
        layers.Softmax()(layers.Dense(3)(image)),
        layers.Activation("softmax")(layers.Dense(3)(image)),
    ):
        model = keras.Model(image, end)
        assert scores(model) == pytest.approx(np.asarray(model(x)), abs=1e-5)
    plain = keras.Model(image, layers.Dense(3)(image))
    assert np.asarray(heads.logits(plain)(x)) == pytest.approx(np.asarray(plain(x)))
    with pytest.raises(ModelError, match="ends in a sigmoid"):
        heads.logits(keras.Model(image, layers.Dense(3, activation="sigmoid")(image)))


@pytest.mark.convert
def test_a_foreign_teacher_gets_its_own_size_and_pixels() -> None:
    import keras

    from converters import conventions
    from converters.training import distil

    image = keras.Input((16, 16, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(image)
    teacher = keras.Model(image, keras.layers.Dense(2)(pooled))
    laid = distil.laid_out(teacher, (32, 32, 3), conventions.CAFFE)
    x = np.full((1, 32, 32, 3), (10.0, 20.0, 30.0), np.float32)
    bare = np.full((1, 16, 16, 3), (30.0, 20.0, 10.0), np.float32) - np.array(
        conventions.CAFFE.mean, np.float32
    )
    assert np.asarray(laid(x)) == pytest.approx(np.asarray(teacher(bare)), rel=1e-4)
    assert distil.laid_out(teacher, (16, 16, 3)) is teacher
    with pytest.raises(UsageError, match="the teacher takes 3 channels, the student 1"):
        distil.laid_out(teacher, (32, 32, 1))


@pytest.mark.convert
def test_a_teacher_of_other_classes_is_refused(tmp_path: Path) -> None:
    from converters.training import files, jobs

    path = tmp_path / "teacher.keras"
    model = network(4)
    files.save_model(model, path, {"names": ["a", "b", "c", "d"]})
    with pytest.raises(UsageError, match=r"the teacher .* has 4 classes, the pictures have 3"):
        jobs.check_classes(model, path, ("a", "b", "c"), "the teacher")
    with pytest.raises(UsageError, match=r"other classes than the pictures \('b' where they have 'x'\)"):
        jobs.check_classes(model, path, ("a", "x", "c", "d"), "the teacher")
    jobs.check_classes(model, path, ("a", "b", "c", "d"), "the teacher")
