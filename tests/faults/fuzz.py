"""``python -m tests.faults.fuzz --count 10000``: so many damaged model files, and what became of each.

Findings are kept as files, with the seed that makes them again.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edgecam import resources
from edgecam.engines import runtimes
from tests.engines import writer
from tests.faults import modelfuzz, mutate


@dataclass(frozen=True)
class Tried:
    """One damaged file.

    Attributes:
        number: which one; with the run's seed it makes the file again.
        kind: of damage.
        seed: the model it was made from.
        fate: what became of it.
        data: its bytes.
    """

    number: int
    kind: str
    seed: str
    fate: modelfuzz.Fate
    data: bytes


def seeds() -> list[mutate.Seed]:
    """The bundled models, for heads and contract, and a made-up one that is all structure."""
    models = [
        mutate.Seed(path.stem, path.read_bytes())
        for path in sorted(resources.folder("models").glob("*.tflite"))
    ]
    made = mutate.Seed("quantizer", writer.quantizer(0.5, 10, writer.UINT8, 48).write())
    return [made, *models]


def fuzz(count: int, seed: int, runtime: runtimes.Runtime, folder: Path) -> Iterator[Tried]:
    """Try ``count`` files, one after another."""
    known = seeds()
    path = folder / "fuzzed.tflite"
    for number in range(count):
        chance = random.Random(f"{seed}/{number}")
        model = chance.choice(known)
        kind, data = mutate.mutate(model, chance)
        path.write_bytes(data)
        yield Tried(number, kind, model.name, modelfuzz.fate(path, runtime), data)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=Path("fuzz-findings"))
    options = parser.parse_args()
    modelfuzz.warm()
    runtime = next(runtimes.available("auto"))
    table: Counter[tuple[str, str]] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        for tried in fuzz(options.count, options.seed, runtime, Path(folder)):
            table[tried.kind, tried.fate.what] += 1
            if tried.fate.what == modelfuzz.FINDING:
                options.keep.mkdir(exist_ok=True)
                (options.keep / f"{options.seed}-{tried.number}.tflite").write_bytes(tried.data)
                print(f"{tried.number} {tried.seed}, {tried.kind}: {tried.fate.detail}", flush=True)
            if (tried.number + 1) % 500 == 0:
                print(f"... {tried.number + 1}", file=sys.stderr, flush=True)
    fates = ("refused", "refused by the trial", "runs", modelfuzz.FINDING)
    print(f"{runtime.label}, {options.count} files, seed {options.seed}")
    print("| damage | " + " | ".join(fates) + " |\n| --- |" + " ---: |" * len(fates))
    for kind in mutate.KINDS:
        print(f"| {kind} | " + " | ".join(str(table[kind, fate]) for fate in fates) + " |")
    return 1 if any(fate == modelfuzz.FINDING for _, fate in table) else 0


if __name__ == "__main__":
    sys.exit(main())
