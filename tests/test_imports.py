"""Imports go one way: what the architecture draws, held against every import statement of the package."""

from __future__ import annotations

import ast
import graphlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgecam import registry

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "edgecam"

# Later may import earlier. What is not named stands with the tools: above types and errors, below the rooms.
TOOLS, ROOMS = 1, 2
RANKS = {
    "": 0,
    "types": 0,
    "errors": 0,
    "events": 0,
    "preprocess": ROOMS,
    "engines": ROOMS,
    "heads": ROOMS,
    "sources": ROOMS,
    "sinks": ROOMS,
    "overlay": ROOMS,
    "tracking": ROOMS,
    "rules": ROOMS,
    "reader": 3,
    "model": 3,
    "analysis": 3,
    "capture": 4,
    "crew": 4,
    "fanout": 5,
    "tally": 5,
    "recogniser": 6,
    "caretaker": 7,
    "pipeline": 8,
    "service": 9,
    "build_privacy": 9,
    "build_ends": 9,
    "build_model": 10,
    "build_crew": 11,
    "slots": 11,
    "tuning": 11,
    "fleet": 12,
    "build_slots": 12,
    "build_fleet": 13,
    "build_run": 14,
    "build": 15,
    "install": 16,
    "doctor": 16,
    "cli": 17,
    "__main__": 18,
}
HEAVY = (
    "cv2",
    "aiortc",
    "av",
    "tensorflow",
    "keras",
    "picamera2",
    "paho",
    "numpy",
    "PIL",
    "rich",
    "uvicorn",
    "starlette",
)


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imports(path: Path, *, at_import_only: bool = False) -> Iterator[str]:
    """Every module of ours that a file imports; with ``at_import_only`` not those inside of functions."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in top_level(tree) if at_import_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in MODULES else str(node.module)


def top_level(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        guarded = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        if not guarded and not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            yield node
            yield from top_level(node)


def room(module: str) -> str:
    return module.partition(".")[2].partition(".")[0]


def rank(module: str) -> int:
    return RANKS.get(room(module), TOOLS)


EDGES = [(name, target) for name, path in MODULES.items() for target in imports(path)]


def test_the_walk_sees_imports() -> None:
    assert ("edgecam.slot", "threading") in EDGES
    assert ("edgecam.build", "edgecam.pipeline") in EDGES
    assert len(EDGES) > 200


@pytest.mark.parametrize("outside", ["converters", "tests", "benchmarks", "tensorflow", "keras", "torch"])
def test_the_device_part_does_not_import(outside: str) -> None:
    assert [edge for edge in EDGES if edge[1].partition(".")[0] == outside] == []


def test_imports_go_one_way() -> None:
    ours = [(a, b) for a, b in EDGES if b.partition(".")[0] == "edgecam"]
    upward = [f"{a} imports {b}" for a, b in ours if rank(b) > rank(a)]
    across = [
        f"{a} imports {b}" for a, b in ours if rank(a) == rank(b) and rank(a) >= ROOMS and room(a) != room(b)
    ]
    assert upward == []
    assert across == []


@pytest.mark.parametrize(
    "table", [registry.SOURCES, registry.ENGINES, registry.HEADS, registry.SINKS], ids=lambda t: next(iter(t))
)
def test_siblings_do_not_import_siblings(table: dict[str, str]) -> None:
    members = {entry.partition(":")[0] for entry in table.values()}

    def owner(module: str) -> str | None:
        return next((m for m in members if module == m or module.startswith(m + ".")), None)

    pairs = [(a, b) for a, b in EDGES if owner(a) and owner(b) and owner(a) != owner(b)]
    assert pairs == []


def test_no_import_cycles() -> None:
    graph = {
        name: {
            target for target in imports(path, at_import_only=True) if target in MODULES and target != name
        }
        for name, path in MODULES.items()
    }
    # A package's __init__ that hands on names of its own modules is no cycle.
    for name, targets in graph.items():
        if MODULES[name].name != "__init__.py":
            targets.discard(name.rpartition(".")[0])
    list(graphlib.TopologicalSorter(graph).static_order())


def loaded_after(code: str) -> set[str]:
    """The heavy modules in memory after running ``code`` in a fresh interpreter."""
    script = f"{code}\nimport sys\nprint(*(m for m in {HEAVY!r} if m in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    "module",
    ["edgecam.cli", "edgecam.config", "edgecam.config_load", "edgecam.registry", "edgecam.catalogue"],
)
def test_import_is_light(module: str) -> None:
    assert loaded_after(f"import {module}") == set()


@pytest.mark.parametrize("argv", [["--help"], ["run", "--help"], ["--version"], ["config", "--json"]])
def test_command_stays_light(argv: list[str]) -> None:
    assert loaded_after(f"from edgecam.cli.app import execute\nassert execute({argv!r}) == 0") == set()


def test_a_run_loads_only_what_it_needs(tmp_path: Path) -> None:
    """Neither the page nor MQTT, fleet and slots, nor what draws text, where nobody asked for them."""
    out = tmp_path / "out.jsonl"
    argv = ["run", "synthetic:?frames=2&live=no", "--model", "classify-person", "-s", f"jsonl:{out}"]
    unwanted = ("PIL", "rich", "uvicorn", "starlette", "paho", "ssl", "sqlite3", "asyncio", "urllib.request")
    ours = ("edgecam.fleet.agent", "edgecam.slots.keeper", "edgecam.sinks.web", "edgecam.sinks.mqtt")
    script = f"""
import sys
from edgecam.cli.app import execute
assert execute({argv!r}) == 0
assert "numpy" in sys.modules
measured = {{"sqlite3"}} if "coverage" in sys.modules else set()
print(*(m for m in {unwanted + ours!r} if m in sys.modules and m not in measured))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == []
    assert len(out.read_text().splitlines()) == 2


def test_loaded_after_sees_what_is_loaded() -> None:
    assert "numpy" in loaded_after("import edgecam.types")
