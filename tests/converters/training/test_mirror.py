"""A teacher that looks at the mirror image too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converters import graph, macs
from converters.training.feed import TrainFeed
from converters.training.plan import Plan
from converters.work import Work
from tests.converters.training import pictures
from tests.converters.training.pictures import Memory, Remembering
from tests.converters.training.test_steps import JUDGED, TRAINED, run

pytestmark = pytest.mark.convert


def network(width: int) -> Any:
    from converters.training import networks

    return networks.build("plain", 3, (32, 32), widths=(width, width, width))


def test_it_answers_by_the_mean_of_both_and_teaches(tmp_path: Path) -> None:
    import keras

    from converters.training import distil, files, heads, mirror
    from converters.training.fit import fit

    keras.utils.set_random_seed(3)
    model = network(8)
    files.save_model(mirror.mirrored(model), tmp_path / "teacher.keras")
    teacher = files.load_model(tmp_path / "teacher.keras")
    memory = Memory(60)
    x = memory.x.astype(np.float32)
    x[:, :, :16] *= 0.2  # no picture is its own mirror image
    look = heads.logits(model)
    once, turned = (np.asarray(look.predict_on_batch(image)) for image in (x, x[:, :, ::-1]))
    assert not np.allclose(once, turned, atol=1e-3)
    found = heads.logits(teacher).predict_on_batch(x)
    np.testing.assert_allclose(found, (once + turned) / 2, atol=1e-4)
    assert np.asarray(teacher.predict_on_batch(x[:1])).shape == (1, 3)
    np.testing.assert_allclose(np.asarray(teacher.predict_on_batch(x)).sum(1), 1, atol=1e-5)

    plan = Plan(epochs=8, batch=20, rate=0.003, precision="bfloat16", shift=0.0)
    before = teacher.get_weights()
    feed = TrainFeed(memory, plan, 3)  # type: ignore[arg-type]
    makes = distil.trainer(teacher, weight=1.0)
    done = fit(network(4), feed, plan, tmp_path, Remembering(), mark="student", trainer=makes)
    assert done.history[-1]["distillation_loss"] < done.history[0]["distillation_loss"]
    assert all((a == b).all() for a, b in zip(before, teacher.get_weights(), strict=True))


PRUNED = """
[[step]]
run = "prune"
to = 0.6
rounds = 1
final_epochs = 1
multiple = 4
floor = 4
batch = 10
"""
MIRROR = "mirror = true\n"


def test_steps_keep_it_and_it_converts(tmp_path: Path) -> None:
    data = pictures.write(tmp_path / "data", (40, 40, 40))
    recipe, folder = tmp_path / "recipe.toml", tmp_path / "work"
    learnt = TRAINED.format(epochs=6)
    recipe.write_text(learnt + PRUNED + MIRROR + JUDGED)
    done = run("run", recipe, "--data", data, "--work", folder)
    assert done.returncode == 0, done.stderr
    assert "with mirror images: right " in done.stderr
    trained, pruned = Work(folder).figures("train"), Work(folder).figures("prune")
    assert trained is not None
    assert pruned is not None
    assert 0.3 * 2 < pruned["macs"] / trained["macs"] < 0.62 * 2
    # What the file costs is what was said: two looks, with each layer once.
    found = graph.read((folder / "int8.tflite").read_bytes())
    assert macs.of_graph(found).macs == pruned["macs"]
    assert [op.name for op in found.operators].count("CONV_2D") == 7

    recipe.write_text(learnt + MIRROR + PRUNED + JUDGED)
    done = run("run", recipe, "--data", data, "--work", folder)
    assert done.returncode == 0, done.stderr
    assert "with mirror images: right " in done.stderr
    again, once = Work(folder).figures("train"), Work(folder).figures("prune")
    assert again is not None
    assert once is not None
    assert again["macs"] == 2 * trained["macs"]
    assert 0 <= again["mirrored"]["accuracy"] <= 1
    # What is pruned is the network within, and it looks once from then on.
    assert "trained.keras looks at mirror images too; what looks once goes on" in done.stderr
    assert once["macs"] == pruned["macs"] // 2
    found = graph.read((folder / "int8.tflite").read_bytes())
    assert macs.of_graph(found).macs == once["macs"]


def test_the_network_within_is_the_one_that_was_trained(tmp_path: Path) -> None:
    from converters.training import files, mirror

    model = network(8)
    files.save_model(model, tmp_path / "once.keras", {"looks": 1})
    files.save_model(mirror.mirrored(model), tmp_path / "twice.keras", {mirror.KEY: mirror.LOOKS})
    report = Remembering()
    for name in ("once", "twice"):
        found = mirror.to_change(tmp_path / f"{name}.keras", report)
        assert [layer.name for layer in found.layers] == [layer.name for layer in model.layers]
        x = Memory(6).x.astype(np.float32)
        np.testing.assert_allclose(found.predict_on_batch(x), model.predict_on_batch(x), atol=1e-5)
    assert len(report.lines) == 1


def test_boxes_have_none(tmp_path: Path) -> None:
    from converters.detection import jobs
    from converters.steps.train import TrainStep
    from edgecam.errors import UsageError

    options = {option.name: option.default for option in TrainStep.options}
    with pytest.raises(UsageError, match="mirror = True does not go with boxes"):
        jobs.check({**options, "network": "ssd_mobilenet_v2", "mirror": True})
