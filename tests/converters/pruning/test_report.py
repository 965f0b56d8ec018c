"""What the report says of pruning."""

from __future__ import annotations

from typing import Any

from converters.reporting import curves

EPOCH = {"loss": 1.5, "accuracy": 0.5, "validation": {"score": 0.4}}
ROUNDS = [
    {"round": 0, "macs": 12_500_000, "parameters": 78_714, "reached": 1.0, "tuned": {"accuracy": 0.547}},
    {
        "round": 1,
        "macs": 5_800_000,
        "parameters": 41_538,
        "reached": 0.46,
        "cut": {"accuracy": 0.132},
        "tuned": {"accuracy": 0.476},
    },
]


def figures(**more: Any) -> dict[str, Any]:
    return {
        "kind": "structured",
        "by": "l1",
        "network": "resnet",
        "macs": 5_800_000,
        "parameters": 41_538,
        "before": {"macs": 12_500_000, "parameters": 78_714},
        "rounds": ROUNDS,
        "history": [{"epoch": 1, **EPOCH}, {"epoch": 2, **EPOCH}],
        "seconds": 90.0,
        **more,
    }


def test_every_round_is_told(tmp_path: Any) -> None:
    (found,) = curves.gather({"prune": figures(), "qat": None}, tmp_path)
    assert "78,714 before; 12.5 → 5.8 million multiply-accumulates by l1" in curves.words(found)
    page = curves.sections([found])
    for text in ("<td>0</td><td>12.5</td>", "<td>13.2%</td><td>47.6%</td>", "<td>–</td><td>54.7%</td>"):
        assert text in page


def test_zeros_and_their_download(tmp_path: Any) -> None:
    rounds = [ROUNDS[0], {**ROUNDS[1], "compressed": 61_000, "reached": 0.7}]
    (found,) = curves.gather({"prune": figures(kind="unstructured", rounds=rounds)}, tmp_path)
    assert "70% of its weights are zero" in curves.words(found)
    assert "70% zeros, 61 kB compressed" in curves.sections([found])
