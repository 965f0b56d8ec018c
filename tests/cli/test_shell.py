"""What a shell and a terminal make of it: completion, tables, progress."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgecam import jpeg
from tests.cli.conftest import Run


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(edgecam: Run, shell: str) -> None:
    ran = edgecam("completion", shell)
    assert ran.code == 0
    assert f"_EDGECAM_COMPLETE={shell}_complete" in ran.out
    assert ran.out.startswith("# ")


def test_completion_knows_the_shell_in_use(edgecam: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELL", "/usr/bin/zsh")
    assert "zsh_complete" in edgecam("completion").out
    monkeypatch.setenv("SHELL", "/bin/dash")
    ran = edgecam("completion")
    assert (ran.code, ran.err) == (
        2,
        "edgecam: no completion for shell 'dash': name one of bash, zsh, fish\n",
    )


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("edgecam ru", {"plain,run"}),
        ("edgecam run --thr", {"plain,--threads", "plain,--threshold"}),
        ("edgecam run --resize l", {"plain,letterbox"}),
        ("edgecam run --model det", {"plain,detect-coco", "file,det"}),
        (
            "edgecam model get mobilenet-v1-025",
            {"plain,mobilenet-v1-025-128", "plain,mobilenet-v1-025-128-edgetpu"},
        ),
    ],
)
def test_the_tab_key(process: Run, words: str, expected: set[str]) -> None:
    env = {
        "_EDGECAM_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split()) - 1),
    }
    assert expected <= set(process(env=env).out.split())


def on_terminal(*argv: str) -> str:
    """What a person sees of a command: both its outputs are a terminal."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", "from edgecam.cli import main; main()", *argv]
    with subprocess.Popen(
        command, stdout=theirs, stderr=theirs, env=os.environ | {"TERM": "xterm", "COLUMNS": "200"}
    ) as process:
        os.close(theirs)
        seen = b""
        while True:
            try:
                seen += os.read(ours, 4096)
            except OSError:  # how a terminal says that nobody is at its other end
                break
    os.close(ours)
    assert process.returncode == 0, seen
    return seen.decode()


def test_a_table_has_rules_on_a_terminal_only(process: Run) -> None:
    assert "\u2500" in on_terminal("model", "list")
    assert "\u2500" not in process("model", "list").out


def test_progress_of_a_run_over_files(tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number in range(5):
        (pictures / f"{number}.jpg").write_bytes(jpeg.encode(np.full((48, 64, 3), 128, np.uint8)))
    out = tmp_path / "out.jsonl"
    seen = on_terminal("run", str(pictures), "--max-frames", "3", "--sink", f"jsonl:{out}")
    assert "/3" in seen
    assert "3 frames done" in seen
    assert len(out.read_text().splitlines()) == 3
    # Where results come to the same terminal there is no bar.
    assert "/3" not in on_terminal("run", str(pictures), "--max-frames", "3", "--sink", "jsonl:-")


def test_progress_is_shown_on_a_terminal_only(process: Run) -> None:
    command = ["bench", "detect-coco", "--threads", "1", "--runs", "5"]
    assert "0/1" in on_terminal(*command)
    assert "0/1" not in on_terminal(*command, "--quiet")
    assert process(*command).err == ""
