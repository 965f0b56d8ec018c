"""The small networks side by side, with one stated budget: each quantised in every way, trained for int8,
pruned, with and without a teacher. Writes a sweep recipe and runs it:

    python benchmarks/compare_networks.py --data cifar10/ --work compare --epochs 20

Each of the 33 variants trains for ``--epochs``, a pruned or int8-trained one some more; trainings that
several begin with are done once. ``--address`` takes a Ray cluster, ``--pictures 60`` so many of each class
and part, to see that it works. The tables and the plot are in ``WORK/report.html``.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

#: name -> its options. Whole, MobileNetV2 learns three times as slowly as SqueezeNet on a processor.
NETWORKS: dict[str, dict[str, Any]] = {"cnn": {}, "mobilenet_v2": {"width": 0.35}, "squeezenet": {}}
EVERY_WAY = ("int8", "dynamic", "float16", "int16x8", "codebook")
TEACHER = {"network": "plain", "widths": [64, 128, 256]}
PRUNED = (0.3, 0.5, 0.7)  # share of the multiply-accumulates that goes
TAUGHT = ("plain", "l1-50", "entropy-50")  # these also under a teacher


def recipe(epochs: int, networks: tuple[str, ...]) -> dict[str, Any]:
    """The recipe as TOML's values."""
    tune = max(1, epochs // 4)
    learn = {
        "epochs": epochs,
        "batch": 128,
        "rate": 0.003,
        "smoothing": 0.1,
        "shift": 0.1,
        "seed": 1,
        "ema": 0.98,
        "precision": "auto",
    }
    return {
        "summary": f"Small networks side by side, {epochs} epochs each",
        "name": "networks",
        "sweep": {"list": list(variants(networks))},
        "step": [
            {"run": "data", "fractions": [0.83, 0.02, 0.15]},
            {"run": "train", **learn},
            {"run": "distill", **learn, "smoothing": 0.0},
            {"run": "prune", "rounds": 1, "final_epochs": tune, "batch": 128, "precision": "auto"},
            {"run": "qat", "epochs": tune, "batch": 128},
            {"run": "quantize", "recipes": ["int8"]},
            {"run": "evaluate", "layers": 0, "max_drop": 100.0, "max_class_drop": 100.0},
        ],
    }


def variants(networks: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """Entries of ``[[sweep.list]]``."""
    shrunk: dict[str, dict[str, Any]] = {
        "plain": {"prune": False, "qat": False, "quantize": {"recipes": list(EVERY_WAY)}},
        "qat": {"prune": False},
    }
    for by in ("l1", "entropy"):
        for gone in PRUNED:
            shrunk[f"{by}-{gone:.0%}".rstrip("%")] = {
                "prune": {"by": by, "to": round(1 - gone, 2)},
                "qat": False,
            }
    for network in networks:
        design = {"network": network, **NETWORKS[network]}
        for how, said in shrunk.items():
            yield {"name": f"{network} {how}", "train": design, "distill": False, **said}
            if how in TAUGHT:
                taught = {"train": TEACHER, "distill": design}
                yield {"name": f"{network} taught {how}", **taught, **said}


def toml(value: Any) -> str:
    """A value; JSON is TOML but for tables."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {toml(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value)


def write(path: Path, content: dict[str, Any]) -> None:
    lines = [f"{key} = {toml(content[key])}" for key in ("summary", "name")]
    for name, key in (("sweep.list", content["sweep"]["list"]), ("step", content["step"])):
        for entry in key:
            lines += ["", f"[[{name}]]", *(f"{option} = {toml(value)}" for option, value in entry.items())]
    path.write_text("\n".join(lines) + "\n")


def few(data: Path, target: Path, count: int) -> Path:
    """Links to the first pictures of each class and part."""
    for folder in sorted(path for path in data.glob("*/*") if path.is_dir()):
        place = target / folder.relative_to(data)
        place.mkdir(parents=True, exist_ok=True)
        for picture in sorted(folder.iterdir())[:count]:
            link = place / picture.name
            if not link.exists():
                link.symlink_to(picture.absolute())
    return target


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", type=Path, required=True, help="train/ and test/ with a folder for each class"
    )
    parser.add_argument("--work", type=Path, default=Path("compare-networks"))
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--pictures", type=int, default=0, help="of each class and part; 0 for all")
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=NETWORKS)
    parser.add_argument("--address", default="", help="of a Ray cluster")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    data = (
        few(options.data, options.work / "pictures", options.pictures) if options.pictures else options.data
    )
    path = options.work / "networks.toml"
    write(path, recipe(options.epochs, tuple(options.networks)))
    command = [sys.executable, "-c", "from converters.cli import main; main()", "sweep", str(path)]
    command += ["--data", str(data), "--work", str(options.work)]
    command += ["--address", options.address] if options.address else []
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
