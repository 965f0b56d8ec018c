"""``edgecam model list|info|get|verify``; what is installed is in :mod:`edgecam.cli.commands.slots`."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgecam import catalogue
from edgecam.cli import console
from edgecam.cli.base import CONTEXT, HeadedOption, common_options, new_command
from edgecam.cli.commands import slots
from edgecam.cli.settings import model_argument, settings_params, with_settings
from edgecam.config import ENGINE, MODEL, OPTIONS, Settings
from edgecam.config_load import Loaded
from edgecam.errors import ContractError, QualityError

if TYPE_CHECKING:
    from edgecam.contract import ModelSpec
    from edgecam.tflite import ModelFile, Tensor

NAME = "NAME"


def json_option() -> click.Option:
    return HeadedOption(["--json", "as_json"], is_flag=True, help="As JSON.")


@click.group(
    "model",
    context_settings=CONTEXT,
    help="List, inspect, fetch, verify and install models.",
    invoke_without_command=True,
    params=[*common_options()],
)
@click.pass_context
def model(ctx: click.Context) -> None:
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


@new_command(
    "list",
    help="List the models: bundled with edgecam, fetched before, and available to fetch.",
    params=[json_option()],
)
def list_models(as_json: bool) -> None:
    models = catalogue.listing()
    if as_json:
        fields = ("name", "state", "task", "size", "use")
        rows = [
            {name: getattr(entry, name) for name in fields} | {"path": entry.path and str(entry.path)}
            for entry in models
        ]
        console.write_json(rows)
        return
    console.table(
        ("name", "state", "task", "MB", "good for"),
        [(entry.name, entry.state, entry.task, entry.size / 1e6, entry.use) for entry in models],
    )
    console.line("edgecam model get NAME fetches an available one; edgecam run --model NAME uses it.")


@new_command(
    "get",
    help="Fetch a model of the catalogue and its labels.\n\n"
    "A broken download goes on where it stopped. A file is kept only if it is exactly the one that was "
    "looked at when the catalogue was made (its SHA-256).",
    examples="""
    edgecam model get mobilenet-v2
    edgecam run --model mobilenet-v2
    sudo edgecam model get mobilenet-v2 --dir /var/lib/edgecam/models     for a service
    """,
    params=[
        model_argument("name", NAME),
        HeadedOption(
            ["--dir", "folder"],
            metavar="DIR",
            type=click.Path(file_okay=False, path_type=Path),
            help="Where to put it [~/.local/share/edgecam/models].",
        ),
    ],
)
def get(name: str, folder: Path | None) -> None:
    with console.progress(name, unit="bytes") as advance:
        path = catalogue.get(name, folder, advance)
    console.line(f"{name}: {path}")


@new_command(
    "info",
    help="Show what a model's file says of itself, and whether edgecam can run it.\n\n"
    "The interpreter is not needed for that. Flags show what they would change.",
    examples="""
    edgecam model info detect-coco
    edgecam model info yolo.tflite --decoder yolov8 --labels coco80.txt
    """,
    params=[
        model_argument("name", "NAME|FILE"),
        json_option(),
        *settings_params(sections=[MODEL], leave_out=["model"]),
    ],
)
@with_settings
def info(loaded: Loaded, name: str, as_json: bool) -> None:
    from edgecam import build, contract, tflite

    found = catalogue.find(name)
    file = tflite.load(found.path)
    spec, problem = None, ""
    try:
        spec = contract.resolve(found.path, build.overrides(loaded.settings).over(found.overrides))
    except ContractError as error:
        problem = str(error)
    facts = describe(found.path, file, spec, problem)
    if as_json:
        console.write_json(facts)
        return
    for key, value in facts.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            print(f"{key}:")
            console.table(list(value[0]), [list(map(_text, row.values())) for row in value])
        elif value not in ("", [], {}, None):
            print(f"{key + ':':14} {_text(value)}")


@new_command(
    "verify",
    help="Prove that a model answers here as it did where it was made.\n\n"
    "Runs the golden samples in its file (pictures with their answers) on this machine's interpreter or "
    "accelerator. Exit code 3 if an answer is outside of the tolerance that the file states.",
    examples="""
    edgecam model verify detect-coco
    edgecam model verify parts_edgetpu.tflite --device usb --require-delegate
    """,
    params=[
        model_argument("name", "NAME|FILE"),
        json_option(),
        HeadedOption(
            ["--key"],
            metavar="KEY",
            multiple=True,
            help="Check its signature first: a public key of minisign, or a file or folder of them.",
        ),
        *settings_params(sections=[ENGINE]),
    ],
)
@with_settings
def verify(loaded: Loaded, name: str, as_json: bool, key: tuple[str, ...]) -> None:
    from edgecam import build
    from edgecam import verify as verifying
    from edgecam.types import Frame

    found = catalogue.find(name).path
    if key:
        check_signature(found, key)
    spec, samples = verifying.load(found)
    model = build.load_model(engine_alone(loaded.settings, name, verifying.lowest(samples)))
    try:
        for note in model.engine.notes:
            console.line(note)
        outcomes = [
            verifying.check(sample, model.run(Frame(n, sample.image)), spec.labels)
            for n, sample in enumerate(samples)
        ]
        device, runtime = model.engine.device, model.engine.runtime
    finally:
        model.engine.close()
    if as_json:
        rows = [
            {
                "sample": o.name,
                "passed": o.passed,
                "deviation": round(o.deviation, 4),
                "problems": list(o.problems),
            }
            for o in outcomes
        ]
        console.write_json({"model": name, "device": device, "runtime": runtime, "samples": rows})
    else:
        console.table(
            ("sample", "promised", "result", "deviation", "allowed", "problem"),
            [
                (
                    outcome.name,
                    verifying.promise(sample, spec.labels),
                    "pass" if outcome.passed else "FAIL",
                    f"{outcome.deviation:.3f}",
                    f"{sample.score:.3f}",
                    "; ".join(outcome.problems),
                )
                for outcome, sample in zip(outcomes, samples, strict=True)
            ],
        )
    failed = sum(not o.passed for o in outcomes)
    if failed:
        raise QualityError(
            f"{name}: {failed} of {len(samples)} golden samples are not as promised on {device}, {runtime}",
            "try another --runtime or --device, and fetch or convert the model again",
        )
    console.line(f"{name}: all {len(samples)} golden samples are as promised on {device}, {runtime}")


def check_signature(path: Path, keys: Sequence[str]) -> None:
    """Say by whom a file is signed.

    Raises:
        SignatureError: by none of these keys, or it was changed.
    """
    from edgecam import minisign
    from edgecam.slots import check

    data, text = check.read_bundle(path)
    rules = check.Rules(keys=minisign.load_keys(keys), signed=True)
    console.line(f"{path.name}: signed by {check.signed_by(data, text, rules, path.name)}")


def engine_alone(settings: Settings, model: str, threshold: float) -> Settings:
    """The engine's settings; whatever else the user has set would change what the model says."""
    kept = {key: getattr(settings, key) for key, option in OPTIONS.items() if option.section == ENGINE}
    return Settings(model=model, threshold=threshold, top_k=1000, **kept)


def describe(path: Path, file: ModelFile, spec: ModelSpec | None, problem: str) -> dict[str, Any]:
    """What there is to say of a model, as plain values in the order to show them."""
    facts: dict[str, Any] = {
        "file": str(path),
        "bytes": len(file.data),
        "sha256": hashlib.sha256(file.data).hexdigest(),
    }
    if spec is not None:
        facts |= {
            "name": spec.name,
            "version": spec.version,
            "description": spec.description,
            "licence": spec.licence,
            "origin": spec.origin,
            "task": spec.task,
            "decoder": spec.decoder,
            "labels": list(spec.labels),
            "color": spec.color,
            "resize": spec.resize,
            "mean": list(spec.mean),
            "std": list(spec.std),
            "roles": dict(spec.outputs),
            "options": dict(spec.options),
            "report": dict(spec.report),
            "golden": len(spec.golden),
        }
    return facts | {
        "runs": not problem,
        "problem": problem,
        "edge_tpu": file.compiled_for_edgetpu,
        "operators": file.operators,
        "custom_ops": list(file.custom_ops),
        "inputs": [_tensor(tensor) for tensor in file.inputs],
        "outputs": [_tensor(tensor) for tensor in file.outputs],
    }


def _tensor(tensor: Tensor) -> dict[str, Any]:
    return {
        "tensor": tensor.name,
        "shape": list(tensor.shape),
        "dtype": tensor.dtype,
        "scale": tensor.scale,
        "zero_point": tensor.zero_point,
    }


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_text(item)}" for key, item in value.items())
    if not isinstance(value, list):
        return f"{value:.6g}" if isinstance(value, float) else str(value)
    texts = [_text(item) or "-" for item in value]
    if all(isinstance(item, int) for item in value):
        return " x ".join(texts)
    more = f", ... {len(texts)} in all" if len(texts) > 12 else ""
    return ", ".join(texts[:12]) + more


for command in (list_models, info, get, verify, *slots.COMMANDS):
    model.add_command(command)
