"""The step prune: rounds with training in between, to a target."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converters.work import Work
from edgecam.errors import ModelError, UsageError
from tests.converters.pruning.work import Heard, make, options

pytestmark = pytest.mark.convert
QUICK = {"rounds": 2, "epochs": 1, "final_epochs": 2, "rate": 0.01, "floor": 4, "multiple": 4}


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Work:
    return make(tmp_path_factory.mktemp("origin"))


@pytest.fixture
def work(origin: Work, tmp_path: Path) -> Work:
    """A work folder of its own with the same content."""
    for name in ("data.json", "trained.keras"):
        (tmp_path / name).write_bytes(origin.path(name).read_bytes())
    return Work(tmp_path)


def prune(work: Work, mark: str = "m", **said: Any) -> tuple[dict[str, Any], Heard]:
    from converters.pruning import jobs

    heard = Heard()
    chosen = options(work, "prune", **{**QUICK, **said})
    return jobs.prune(heard, work=str(work.root), options=chosen, mark=mark, out="pruned.keras"), heard


def test_to_a_share_of_the_multiply_accumulates(work: Work) -> None:
    from converters.training import files

    found, heard = prune(work, to=0.5)
    assert found["met"]
    assert 0.3 < found["macs"] / found["before"]["macs"] <= 0.5
    rows = found["rounds"]
    assert [row["round"] for row in rows] == [0, 1, 2]
    assert rows[0]["macs"] > rows[1]["macs"] > rows[2]["macs"] == found["macs"]
    assert [row["fit"]["epochs"] for row in rows[1:]] == [1, 2]
    assert [(row["epoch"], row["round"]) for row in found["history"]] == [(1, 1), (2, 2), (3, 2)]
    assert all(0 <= row[when]["accuracy"] <= 1 for row in rows[1:] for when in ("cut", "tuned"))
    model = files.load_model(work.path("pruned.keras"))
    assert model.get_layer("middle").filters < 24
    assert model.count_params() == found["parameters"] == rows[2]["parameters"]
    assert files.note(work.path("pruned.keras"))["network"] == "small"
    assert not work.path("pruning").exists()
    assert any(line.startswith("round 2: ") and "after the cut" in line for line in heard.lines)


def test_a_killed_run_goes_on_where_it_was(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    from converters.pruning.rounds import Rounds
    from converters.training import files

    whole, _ = prune(work, to=0.6)
    weights = files.load_model(work.path("pruned.keras")).get_weights()
    work.path("pruned.keras").unlink()
    done = Rounds._round
    monkeypatch.setattr(Rounds, "_round", _dies_in_round_2(done))
    with pytest.raises(KeyboardInterrupt):
        prune(work, to=0.6)
    assert not work.path("pruned.keras").exists()
    monkeypatch.setattr(Rounds, "_round", done)
    again, heard = prune(work, to=0.6)
    assert "pruning goes on after round 1 of 2" in heard.lines
    assert [row["reached"] for row in again["rounds"]] == [row["reached"] for row in whole["rounds"]]
    for a, b in zip(weights, files.load_model(work.path("pruned.keras")).get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def _dies_in_round_2(done: Any) -> Any:
    def dying(self: Any, network: Any, number: int, began: float) -> Any:
        if number == 2:
            raise KeyboardInterrupt
        return done(self, network, number, began)

    return dying


def test_another_target_begins_anew(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    from converters.pruning.rounds import Rounds

    done = Rounds._round
    monkeypatch.setattr(Rounds, "_round", _dies_in_round_2(done))
    with pytest.raises(KeyboardInterrupt):
        prune(work, to=0.7)
    monkeypatch.setattr(Rounds, "_round", done)
    found, heard = prune(work, mark="another", to=0.5, final_epochs=0, epochs=0)
    assert any("begins anew" in line for line in heard.lines)
    assert found["met"]
    assert found["rounds"][1]["tuned"] == found["rounds"][1]["cut"]


def test_to_a_size_and_a_time(work: Work) -> None:
    size, _ = prune(work, to_kb=6.6, rounds=1, final_epochs=0)
    (start, end) = (row["reached"] for row in size["rounds"])
    assert size["target"] == {"kind": "kb", "wanted": 6.6}
    assert end <= 6.6 < start
    with pytest.raises(UsageError, match=r"cannot be pruned to 1e-05 ms as int8: .* is as far as it gets"):
        prune(work, to_ms=0.00001)


def test_a_target_that_cannot_be_met_says_how_far_it_gets(work: Work) -> None:
    with pytest.raises(
        UsageError, match=r"cannot be pruned to 1.0% of its multiply-acc.*: \d+\.\d% .* as far"
    ):
        prune(work, to=0.01)
    assert sorted(path.name for path in work.root.iterdir()) == ["data.json", "trained.keras"]


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"to": 1.5}, "to = 1.5"),
        ({"to_kb": 5.0, "sparsity": 0.5}, "several targets: to_kb, sparsity"),
        ({"to_kb": 5000.0}, "has .* kB as int8 already"),
        ({"sparsity": 1.2}, "sparsity = 1.2"),
        ({"rounds": 0}, "rounds = 0"),
        ({"floor": 0}, "floor"),
        ({"model": ""}, "no model is named"),
    ],
)
def test_options_that_make_no_sense(work: Work, said: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        prune(work, **said)


def test_a_layer_that_is_not_understood_changes_nothing(work: Work) -> None:
    import keras

    from converters.training import files

    image = keras.Input((16, 16, 3))
    x = keras.layers.LayerNormalization(name="odd")(keras.layers.Rescaling(1 / 255)(image))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(8, 3)(x))
    files.save_model(
        keras.Model(image, keras.layers.Dense(3, activation="softmax")(x)), work.path("odd.keras")
    )
    with pytest.raises(ModelError, match="layer 'odd' \\(LayerNormalization\\)"):
        prune(work, model=str(work.path("odd.keras")))
    assert not work.path("pruned.keras").exists()


def test_zeros_stay_zeros_in_training(work: Work) -> None:
    from converters.pruning import sparse
    from converters.training import files

    found, _ = prune(work, sparsity=0.8, teacher="itself")
    assert found["kind"] == "unstructured"
    model = files.load_model(work.path("pruned.keras"))
    assert sparse.zeros(model) == pytest.approx(0.8, abs=0.01)
    first, last = found["rounds"][1], found["rounds"][2]
    assert last["compressed"] < first["compressed"] < first["bytes"]
    assert found["macs"] == found["before"]["macs"]
    assert not np.array_equal(
        files.load_model(work.path("trained.keras")).get_weights()[0], model.get_weights()[0]
    )


def test_slimming_draws_filters_to_zero(work: Work) -> None:
    found, _ = prune(work, to=0.5, by="gamma", rounds=1, slim_epochs=1, slim=0.01)
    assert found["by"] == "gamma"
    assert found["met"]
    found, _ = prune(work, mark="n", to=0.5, by="entropy", rounds=1, slim_epochs=0, final_epochs=1)
    assert found["met"]


def test_a_model_that_does_not_scale_its_pictures(work: Work) -> None:
    import keras

    from converters.training import files

    image = keras.Input((16, 16, 3))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(16, 3, activation="relu")(image))
    model = keras.Model(image, keras.layers.Dense(3, activation="softmax")(x))
    files.save_model(model, work.path("bare.keras"))
    path = str(work.path("bare.keras"))
    with pytest.raises(UsageError, match="does not say how it wants its pictures"):
        prune(work, model=path)
    with pytest.raises(UsageError, match="takes BGR"):
        prune(work, model=path, preprocess="caffe")
    found, _ = prune(work, model=path, preprocess="torch", by="entropy", to=0.6, rounds=1)
    assert found["met"]
    pruned = files.load_model(work.path("pruned.keras"))
    assert [type(layer).__name__ for layer in pruned.layers][1] == "Conv2D"
