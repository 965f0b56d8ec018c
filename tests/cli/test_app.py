"""Overview, help, errors and exit codes."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from edgecam import __version__, build
from edgecam.cli.app import COMMANDS, cli, execute
from edgecam.cli.base import Command
from edgecam.config import DEFAULTS, OPTIONS, Settings, flag
from edgecam.errors import (
    ConfigError,
    DelegateError,
    EdgecamError,
    QualityError,
    SourceError,
    UnknownNameError,
)
from tests.cli.conftest import Run


def commands() -> dict[str, click.Command]:
    """Every command by its full name: ``run``, ``model get``."""
    context = click.Context(cli)
    out = {}
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        out[name] = command
        if isinstance(command, click.Group):
            out.update({f"{name} {sub}": found for sub, found in command.commands.items()})
    return out


def test_the_overview_lists_every_command(edgecam: Run) -> None:
    for argv in ([], ["--help"], ["-h"]):
        ran = edgecam(*argv)
        assert ran.code == 0
        for name, summary in COMMANDS.items():
            assert re.search(rf"^  {name} +{re.escape(summary)}$", ran.out, re.M)


def test_version(edgecam: Run) -> None:
    assert edgecam("--version").out == f"edgecam {__version__}\n"


@pytest.mark.parametrize("name", list(commands()))
def test_help_of_every_command(edgecam: Run, name: str) -> None:
    ran = edgecam(*name.split(), "--help")
    assert (ran.code, ran.err) == (0, "")
    assert f"Usage: edgecam {name}" in ran.out
    assert "  --debug" in ran.out
    assert max(map(len, ran.out.splitlines())) <= 110


def test_run_has_a_flag_for_every_setting(edgecam: Run) -> None:
    text = edgecam("run", "--help").out
    for name, option in OPTIONS.items():
        shown = f"--[no-]{flag(name)[2:]}" if getattr(DEFAULTS, name) is True else flag(name)
        assert (shown in text) is not option.file_only
        assert name == "source" or re.search(rf"^{option.section}:$", text, re.M)


EXAMPLES = [
    (name, line.strip())
    for name, command in commands().items()
    if isinstance(command, Command)
    for line in command.examples.strip().splitlines()
]


@pytest.mark.parametrize(("name", "line"), EXAMPLES, ids=lambda text: text)
def test_examples_are_commands_that_exist(name: str, line: str) -> None:
    typed = re.split(r"\s{4,}|\s[|>]", line)[0]
    typed = typed.removeprefix("sudo ").removeprefix('eval "$(').removesuffix(')"').removeprefix("echo '")
    typed = re.sub(r"""^eval "\$\(|\)"'$""", "", re.sub(r"^EDGECAM_\S+ ", "", typed))
    words = shlex.split(typed)
    assert words[0] == "edgecam"
    known = commands()
    depth = 2 if " ".join(words[1:3]) in known else 1
    command = known[" ".join(words[1 : 1 + depth])]
    command.make_context("edgecam", words[1 + depth :])


# Errors


def test_an_unknown_command_names_the_nearest(edgecam: Run) -> None:
    ran = edgecam("rnu")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == "edgecam: no such command: 'rnu': did you mean 'run'? (edgecam --help tells more)\n"
    assert "known: run, image" in edgecam("xyzzy").err


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["run", "--treshold", "1"], "--treshold"),
        (["run", "--threshold", "2"], "'--threshold': expected a number from 0 to 1, got 2.0"),
        (
            ["run", "--resize", "squeeze"],
            "expected one of stretch, letterbox, crop, got 'squeeze'",
        ),
        (["run", "--output", "boxes"], "expected ROLE=TENSOR"),
        (["run", "a", "b"], "unexpected extra argument"),
        (["image"], "Missing argument 'FILE...'"),
        (["bench", "detect-coco", "--threads", "0"], "expected numbers of threads such as 1,2,4, got '0'"),
        (["run", "--config", "/no/such.toml"], "/no/such.toml: no such file"),
        (["run", "gopher://x"], "unknown source scheme 'gopher'"),
        (["run", "demo:", "--sink", "paper:"], "unknown sink scheme 'paper'"),
        (["model", "info", "detekt-coco"], "did you mean 'detect-coco'?"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_2(edgecam: Run, argv: list[str], text: str) -> None:
    ran = edgecam(*argv)
    assert ran.code == 2
    assert ran.out == ""
    assert ran.err.startswith("edgecam: ")
    assert text in ran.err
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (EdgecamError("it broke", "mend it"), 1),
        (SourceError("no camera"), 1),
        (DelegateError("no TPU"), 1),
        (ConfigError("typo"), 2),
        (UnknownNameError("model", "x", ["y"]), 2),
        (QualityError("too low"), 3),
    ],
)
def test_an_error_of_ours_is_one_line_and_its_code(
    edgecam: Run, monkeypatch: pytest.MonkeyPatch, error: EdgecamError, code: int
) -> None:
    monkeypatch.setattr(build, "run", raiser(error))
    ran = edgecam("run", "demo:")
    assert (ran.code, ran.out, ran.err) == (code, "", f"edgecam: {error}\n")


def raiser(error: BaseException) -> object:
    def fail(settings: Settings, report: object, *args: object, **kwargs: object) -> None:
        raise error

    return fail


def test_an_unexpected_error_asks_for_a_report(edgecam: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "run", raiser(ZeroDivisionError("division\nby zero")))
    ran = edgecam("run", "demo:")
    assert ran.code == 1
    assert ran.err == (
        "edgecam: unexpected error: ZeroDivisionError: division by zero; "
        "run it again with --debug and report what it prints\n"
    )


@pytest.mark.parametrize("argv", [["--debug", "run", "demo:"], ["run", "demo:", "--debug"]])
def test_debug_shows_the_traceback(edgecam: Run, monkeypatch: pytest.MonkeyPatch, argv: list[str]) -> None:
    monkeypatch.setattr(build, "run", raiser(SourceError("no camera")))
    ran = edgecam(*argv)
    assert ran.code == 1
    assert ran.err.startswith("Traceback")
    assert ran.err.endswith("edgecam: no camera\n")


def test_ctrl_c_is_130(edgecam: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "run", raiser(KeyboardInterrupt()))
    ran = edgecam("run", "demo:")
    assert ran.code == 130
    assert ran.err.strip() == ""


@pytest.mark.parametrize("argv", [["config", "--toml"], ["config"], ["model", "list"]])
def test_a_reader_that_goes_away_is_no_error(argv: list[str]) -> None:
    # More than a pipe holds; which write meets the closed end, this one or the command's, differs by Python.
    script = (
        "import contextlib, sys; from edgecam.cli import main\n"
        "with contextlib.suppress(BrokenPipeError): sys.stdout.write('x' * 200_000)\n"
        "main()"
    )
    writer = subprocess.Popen(
        [sys.executable, "-c", script, *argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert writer.stdout is not None
    assert writer.stderr is not None
    writer.stdout.read(1)
    writer.stdout.close()
    lines = writer.stderr.read().decode().splitlines()
    writer.stderr.close()
    writer.wait(60)
    assert [line for line in lines if "model get NAME" not in line] == []


def test_a_full_disk_behind_the_output() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "edgecam", "config", "--toml"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == "edgecam: cannot write the output (No space left on device)\n"


def test_a_path_too_long_to_look_at(edgecam: Run) -> None:
    ran = edgecam("model", "info", "x" * 5000 + ".tflite")
    assert ran.code == 1
    assert "no such file" in ran.err


# Verbosity


@pytest.mark.parametrize(
    ("argv", "level"),
    [
        ([], "warning"),
        (["-v"], "info"),
        (["-vv"], "debug"),
        (["-q"], "error"),
        (["--log-level", "info"], "info"),
        (["--log-level", "info", "-q"], "error"),
    ],
)
def test_verbosity(monkeypatch: pytest.MonkeyPatch, argv: list[str], level: str) -> None:
    import logging

    monkeypatch.setattr(build, "run", raiser(SourceError("x")))
    assert execute(["run", "demo:", *argv]) == 1
    assert logging.getLogger("edgecam").level == getattr(logging, level.upper())
    if not {"--log-level"} & set(argv):
        assert execute([*argv, "run", "demo:"]) == 1
        assert logging.getLogger("edgecam").level == getattr(logging, level.upper())
