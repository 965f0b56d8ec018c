"""``edgecam doctor``, as people and programs read it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgecam import doctor
from edgecam.cli.commands.doctor import make_context, render, summary
from edgecam.config import Settings
from edgecam.doctor import CHECKS, examine
from edgecam.doctor.context import Context, settings_of
from edgecam.doctor.findings import Finding, Level, failure, ok, warning, worst
from tests.cli.conftest import Run

WRONG = failure("camera", "none found", "plug one in")


def test_worst() -> None:
    assert worst([]) is Level.OK
    assert worst([ok("a", ""), WRONG, warning("b", "")]) is Level.FAILURE


def test_from_the_machine_to_the_picture() -> None:
    names = [name for name, _ in CHECKS]
    assert names == ["machine", "packages", "settings", "Edge TPU", "model", "camera", "port"]


def test_a_check_that_fails_itself_is_a_finding_and_the_next_goes_on() -> None:
    def broken(_: Context) -> Iterator[Finding]:
        yield ok("a", "fine")
        raise ZeroDivisionError("oh")

    found = list(examine(Context(), (("first", broken), ("second", lambda _: iter([ok("b", "fine")])))))
    assert [finding.check for finding in found] == ["a", "first", "b"]
    assert found[1].seen == "the check itself failed: ZeroDivisionError: oh"
    assert found[1].level is Level.FAILURE


@pytest.mark.parametrize(
    ("levels", "text"),
    [
        ([], "all is well"),
        ([Level.OK], "all is well"),
        ([Level.WARNING, Level.OK], "1 warning"),
        ([Level.FAILURE, Level.WARNING, Level.WARNING], "1 failure, 2 warnings"),
    ],
)
def test_summary(levels: list[Level], text: str) -> None:
    assert summary(levels) == text


def test_lines() -> None:
    assert render(ok("disk", "3 GB free")) == ["✓ disk         3 GB free"]
    assert render(WRONG) == ["✗ camera       none found", "               → plug one in"]
    assert render(warning("power", "81 °C → hot"), unicode=False) == ["! power        81  C -> hot"]
    assert render(WRONG, unicode=False) == ["x camera       none found", "               -> plug one in"]


@pytest.mark.parametrize("width", [45, 60, 100])
def test_lines_fit_the_terminal(width: int) -> None:
    finding = failure("interpreter", "word " * 40, "remedy " * 30)
    lines = render(finding, width=width)
    assert max(map(len, lines)) < width
    assert " ".join(" ".join(lines).split()).count("word") == 40
    assert all(line.startswith(" " * 15) for line in lines[1:])


def test_a_very_narrow_terminal_wraps_by_itself() -> None:
    assert len(render(failure("a", "word " * 40, "b"), width=20)) == 2


def test_settings_survive_the_way_to_a_child() -> None:
    settings = Settings(sinks=("web:", "a.mp4"), classes=("cat",), top_k=3, token="s")
    plain = json.loads(json.dumps(Context(settings=settings).plain_settings))
    assert settings_of(plain) == settings


def test_bad_settings_are_a_finding_and_flags_count(tmp_path: Path) -> None:
    file = tmp_path / "edgecam.toml"
    file.write_text("treshold = 1\n")
    context = make_context(str(file), {"model": "face", "classes": (), "top_k": None})
    assert context.settings == Settings(model="face")
    assert "treshold" in str(context.problem)
    file.write_text("threshold = 0.5\n")
    context = make_context(str(file), {"model": "face"})
    assert (context.settings, context.files) == (Settings(model="face", threshold=0.5), (file,))


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[Finding]:
    """What the command finds, in place of what is here."""
    findings = [ok("disk", "3 GB free"), warning("clock", "not synchronised", "mend it")]
    monkeypatch.setattr(doctor, "examine", lambda context: iter(findings))
    return findings


def test_warnings_are_no_failure(edgecam: Run, found: list[Finding]) -> None:
    ran = edgecam("doctor")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines() == [
        "✓ disk         3 GB free",
        "! clock        not synchronised",
        "               → mend it",
        "",
        "1 warning",
    ]


def test_a_failure_is_1(edgecam: Run, found: list[Finding]) -> None:
    found.append(WRONG)
    assert edgecam("doctor").code == 1
    ran = edgecam("doctor", "--json")
    assert ran.code == 1
    answer = json.loads(ran.out)
    assert answer["level"] == "failure"
    assert answer["findings"][2] == {
        "check": "camera",
        "level": "failure",
        "seen": "none found",
        "remedy": "plug one in",
    }


def test_quiet_leaves_out_what_is_fine(edgecam: Run, found: list[Finding]) -> None:
    assert edgecam("doctor", "-q").out.splitlines() == [
        "! clock        not synchronised",
        "               → mend it",
    ]


def test_the_real_thing(process: Run) -> None:
    ran = process("doctor", "demo:", "--listen", "127.0.0.1:0", "--json")
    answer = json.loads(ran.out)
    found = {finding["check"]: finding for finding in answer["findings"]}
    assert {"Python", "board", "power", "memory", "disk", "clock", "interpreter", "OpenCV"} <= set(found)
    assert found["model"]["seen"].startswith("detect-coco answers in ")
    assert found["picture"] == {
        "check": "picture",
        "level": "ok",
        "seen": "1280x720 from demo:",
        "remedy": "",
    }
    assert found["port"]["level"] == "ok"
    assert all(finding["remedy"] for finding in answer["findings"] if finding["level"] != "ok")
    assert ran.code == (answer["level"] == "failure")


def test_the_real_thing_with_what_is_wrong(process: Run, tmp_path: Path) -> None:
    model = tmp_path / "broken.tflite"
    model.write_bytes(b"TFL3" * 100)
    ran = process(
        "doctor", "/dev/video99", "--model", str(model), "--sink", "web:", env={"PYTHONIOENCODING": "ascii"}
    )
    assert ran.code == 1
    assert ran.out.isascii()
    lines = ran.out.splitlines()
    assert any(line.startswith(f"x model        {model}") for line in lines)
    assert any(line.startswith("x picture      no camera at /dev/video99") for line in lines)
    assert "failures" in lines[-1]
    assert "Traceback" not in ran.out + ran.err
