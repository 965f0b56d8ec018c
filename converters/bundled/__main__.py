"""Build the bundled models, or see what they are worth.

python3 -m converters.bundled                     build all into models/
python3 -m converters.bundled face --check        build one and compare it with models/face.tflite
python3 -m converters.bundled --judge coco/val    accuracy on pictures with YOLO boxes beside them
"""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from converters.bundled import environment
from edgecam.errors import EdgecamError, QualityError, UnknownNameError

if TYPE_CHECKING:
    from converters.bundled.recipe import Recipe

ROOT = Path(__file__).resolve().parent.parent.parent
MODULES = {"detect-coco": "detect_coco", "classify-person": "classify_person", "face": "face"}


def main(arguments: list[str]) -> int:
    """Returns the exit code: 0, 1 if something failed, 3 if ``--check`` found a difference."""
    options = _parse(arguments)
    try:
        for name in options.names:
            if name not in MODULES:
                raise UnknownNameError("model", name, MODULES)
        environment.enter(ROOT, arguments)
        if options.judge:
            from converters.bundled.judge import judge

            judge(options.judge, options.models, options.cache)
        else:
            _build(options.names or list(MODULES), options.models, options.cache, options.check)
    except EdgecamError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python3 -m converters.bundled",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"{', '.join(MODULES)}; all if none is named"
    )
    parser.add_argument("--check", action="store_true", help="write nothing, compare with what is there")
    parser.add_argument("--judge", type=Path, metavar="FOLDER", help="measure instead of building")
    parser.add_argument("--models", type=Path, default=ROOT / "models", help="folder of the models")
    parser.add_argument("--cache", type=Path, default=ROOT / "out" / "bundled", help="folder for downloads")
    return parser.parse_args(arguments)


def _recipe(name: str) -> Recipe:
    recipe: Recipe = import_module(f"converters.bundled.{MODULES[name]}").RECIPE
    return recipe


def _build(names: list[str], models: Path, cache: Path, check: bool) -> None:
    from converters.bundled import cards
    from converters.bundled.alike import alike
    from converters.files import write_whole

    for name in names:
        print(f"building {name}", flush=True)
        data = _recipe(name).make(cache)
        path = models / f"{name}.tflite"
        there = path.read_bytes() if path.exists() else b""
        same = there == data
        if check and not alike(there, data):
            raise QualityError(f"{path} is not what its recipe makes", "run make models and judge the result")
        if check:
            continue
        write_whole(path, data)
        card = models / f"{name}.md"
        if card.exists():
            write_whole(card, cards.with_facts(card.read_text(), cards.facts(path)).encode())
        print(f"  {path}: {'unchanged' if same else 'changed'}, {len(data):,} bytes", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
