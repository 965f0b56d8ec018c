"""The small networks side by side, with one stated budget: each quantised in every way, trained for int8,
pruned, with and without a teacher. Writes a sweep recipe and runs it:

    python benchmarks/compare_networks.py --data cifar10/ --work compare --epochs 20

Each of the 33 variants trains for ``--epochs``, a pruned or int8-trained one some more; trainings that
several begin with are done once; what is done already is not done again. ``--address`` takes a Ray cluster,
``--pictures 60`` so many of each class and part, to see that it works. Latencies are measured in the end, one
after another. All is in ``WORK/report.html`` too.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import plot
import report

from converters.sweeping.outcome import LATENCIES
from converters.sweeping.sweep import RESULT

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


def gathered(work: Path, epochs: int) -> report.Figures:
    """What a finished sweep has found: variant -> model -> its figures."""
    latencies = json.loads((work / LATENCIES).read_text())
    found: dict[str, dict[str, Any]] = {}
    for folder in sorted((work / "variants").iterdir()):
        told = json.loads((folder / RESULT).read_text())["figures"]
        found[folder.name] = {
            name: {
                "top1": model["accuracy"]["top1"],
                "ms": latencies["models"][f"{folder.name}/{name}"]["invoke_ms"],
                **{key: model[key] for key in ("bytes", "compressed", "macs", "parameters")},
            }
            for name, model in told["models"].items()
        }
    learnt = json.loads((work / "variants/cnn-plain/data.json").read_text())
    counts = {part: len(learnt[part]) for part in ("train", "test")}
    return {"epochs": epochs, "pictures": counts, "measured_on": latencies["machine"], "variants": found}


def _cells(model: dict[str, Any]) -> list[str]:
    return [
        f"{model['top1']:.1%}",
        f"{model['bytes'] / 1000:.0f}",
        f"{model['compressed'] / 1000:.0f}",
        f"{model['macs'] / 1e6:.1f}",
        f"{model['ms']:.3f}",
    ]


def _of(network: str, figures: report.Figures) -> dict[str, dict[str, Any]]:
    """What was done to a network -> model -> its figures."""
    start = f"{network}-"
    found = figures["variants"].items()
    return {name.removeprefix(start): models for name, models in found if name.startswith(start)}


def tables(figures: report.Figures) -> str:
    """Every way to quantise, then what became smaller, for each network."""
    columns = ["top-1", "kB", "compressed", "M MACs", "ms"]
    ways, shrunk = [], []
    for network in NETWORKS:
        for how, models in _of(network, figures).items():
            if how == "plain":
                ways += [[f"{network}, {way}", *_cells(model)] for way, model in models.items()]
            elif how == "qat":
                ways.append([f"{network}, int8 by QAT", *_cells(models["int8"])])
            else:
                shrunk.append([f"{network} {how}", f"{models['float']['top1']:.1%}", *_cells(models["int8"])])
    first = report.markdown(["network, file", *columns], ways)
    second = report.markdown(["network and what was done", "float top-1", "int8 top-1", *columns[1:]], shrunk)
    return f"{first}\n\n{second}"


def draw(figures: report.Figures) -> str:
    """What is right against the size of the file and against time, int8."""

    def against(key: str, scale: float) -> dict[str, list[tuple[float, float, str]]]:
        series = {
            network: [
                (models["int8"][key] * scale, 100 * models["int8"]["top1"], how)
                for how, models in _of(network, figures).items()
            ]
            for network in NETWORKS
        }
        return {network: dots for network, dots in series.items() if dots}

    return plot.beside(
        plot.scatter("int8: right against size", against("bytes", 0.001), "kB", "% right"),
        plot.scatter("int8: right against time", against("ms", 1.0), "milliseconds a picture", "% right"),
    )


def main() -> int:
    parser = report.parser(__doc__)
    parser.add_argument("--data", type=Path, help="train/ and test/ with a folder for each class")
    parser.add_argument("--work", type=Path, default=Path("compare-networks"))
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--pictures", type=int, default=0, help="of each class and part; 0 for all")
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=NETWORKS)
    parser.add_argument("--address", default="", help="of a Ray cluster")
    options = parser.parse_args()
    if not options.read:
        if options.data is None:
            parser.error("--data is needed")
        code = swept(options)
        if code:
            return code
    report.run("networks", options, lambda: gathered(options.work, options.epochs), tables, draw)
    return 0


def swept(options: argparse.Namespace) -> int:
    """Run the sweep; its exit code."""
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
