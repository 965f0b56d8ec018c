"""Zones, lines and rules in a settings file: what is taken, and what is said of the rest."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecam.cli.app import execute
from edgecam.config import OPTIONS
from edgecam.config_load import load
from edgecam.errors import ConfigError
from edgecam.points import Point, check_polygon
from edgecam.scene import LINES, RULES, ZONES, Line, Rule, Scene, Zone, check_labels

GOOD = """
track_lost = 5

[[zone]]
name = "door"
points = [[0.1, 0.2], [0.5, 0.2], [0.5, 0.9], [0.1, 0.9]]

[[line]]
name = "gate"
points = [[0.5, 0.0], [0.5, 1.0]]

[[rule]]
name = "visitor"
zone = "door"
labels = ["person", "dog"]
min_score = 0.6
min_size = 0.01
max_size = 0.9
anchor = "center"
dwell = 2
count = 2
end_after = 1.5
cooldown = 60

[[rule]]
name = "in"
line = "gate"
direction = "in"
"""


def write(folder: Path, text: str) -> str:
    path = folder / "edgecam.toml"
    path.write_text(text)
    return str(path)


def test_all_that_can_be_said_is_read(tmp_path: Path) -> None:
    settings = load(file=write(tmp_path, GOOD), environ={}).settings
    assert settings.zone == (Zone("door", ((0.1, 0.2), (0.5, 0.2), (0.5, 0.9), (0.1, 0.9))),)
    assert settings.line == (Line("gate", ((0.5, 0.0), (0.5, 1.0))),)
    assert settings.rule == (
        Rule("visitor", "door", None, ("person", "dog"), 0.6, 0.01, 0.9, "center", "both", 2, 2, 1.5, 60),
        Rule("in", line="gate", direction="in"),
    )
    assert settings.tracks and not settings.track


def test_rules_may_come_from_the_environment(tmp_path: Path) -> None:
    environ = {"EDGECAM_RULE": '[{"name": "any", "labels": ["cat"]}]', "HOME": str(tmp_path)}
    assert load(environ=environ).settings.rule == (Rule("any", labels=("cat",)),)


@pytest.mark.parametrize("kind", ["toml", "json", "plain"])
def test_edgecam_config_shows_them(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = [] if kind == "plain" else [f"--{kind}"]
    path = write(tmp_path, GOOD)
    assert execute(["config", "--config", path, *flags]) == 0
    shown = capsys.readouterr().out
    if kind == "toml":
        again = load(file=write(tmp_path, shown), environ={}).settings
        path = write(tmp_path, GOOD)
        assert again == load(file=path, environ={}).settings
    elif kind == "json":
        found = json.loads(shown)["settings"]["rule"]["value"]
        assert found[1] == {"name": "in", "line": "gate", "direction": "in"}
    else:
        assert "visitor" in shown.replace("\n", "")


def test_the_examples_are_good() -> None:
    for name in ("zone", "line", "rule"):
        assert OPTIONS[name].kind.parse(OPTIONS[name].example)


def test_the_settings_in_the_documentation_are_good(tmp_path: Path) -> None:
    text = (Path(__file__).parents[1] / "docs" / "events.md").read_text(encoding="utf-8")
    example = text.partition("```toml\n")[2].partition("```")[0]
    settings = load(file=write(tmp_path, example), environ={}).settings
    check_labels(settings.scene, ("person", "dog", "car"), "detect")
    assert len(settings.rule) == 4 and settings.zone and settings.line
    for name in (f.name for f in dataclasses.fields(Rule)):
        assert f"`{name}`" in text


# -- what is wrong

ZONE = '[[zone]]\nname = "door"\npoints = [[0.1, 0.2], [0.5, 0.2], [0.5, 0.9]]\n'


def zone(points: str) -> str:
    return f'[[zone]]\nname = "door"\npoints = {points}\n'


def rule(*lines: str) -> str:
    return ZONE + "[[rule]]\n" + "\n".join(lines) + "\n"


BAD = {
    "two points": (zone("[[0.1, 0.2], [0.5, 0.9]]"), "a polygon needs at least 3 points, got 2"),
    "outside": (zone("[[0.1, 0.2], [0.5, 1.2], [0.3, 0.4]]"), "[0.5, 1.2] lies outside of the picture"),
    "pixels": (zone("[[100, 200], [300, 200], [300, 400]]"), "[100, 200] lies outside of the picture"),
    "crossing": (
        zone("[[0.1, 0.1], [0.9, 0.9], [0.9, 0.1], [0.1, 0.9]]"),
        "sides after points 1 and 3 cross",
    ),
    "flat": (zone("[[0.1, 0.1], [0.5, 0.5], [0.9, 0.9]]"), "no area"),
    "closed by hand": (zone("[[0.1, 0.1], [0.5, 0.1], [0.3, 0.9], [0.1, 0.1]]"), "closes by itself"),
    "no numbers": (zone('[["a", 0.1], [0.5, 0.1], [0.3, 0.9]]'), "a list of points [x, y]"),
    "nan": (zone("[[nan, 0.1], [0.5, 0.1], [0.3, 0.9]]"), "lies outside of the picture"),
    "a text": (
        zone('"all"'),
        'expected a list of points [x, y], each number from 0 to 1, got the text "all"',
    ),
    "no points": ('[[zone]]\nname = "door"\n', "points is missing"),
    "no name": ("[[zone]]\npoints = [[0.1, 0.2], [0.5, 0.2], [0.5, 0.9]]\n", "1: name is missing"),
    "two zones": (ZONE + ZONE, "two zones are named 'door': give each a name of its own"),
    "a table": ('[zone]\nname = "door"\n', "expected [[zone]] tables, got a table"),
    "line of three": (
        '[[line]]\nname = "a"\npoints = [[0.1, 0.2], [0.5, 0.2], [0.5, 0.9]]\n',
        "a line has 2 points, got 3",
    ),
    "line of one": ('[[line]]\nname = "a"\npoints = [[0.1, 0.2], [0.1, 0.2]]\n', "two points are the same"),
    "two rules": (rule('name = "a"', "[[rule]]", 'name = "a"'), "two rules are named 'a'"),
    "unknown zone": (
        rule('name = "a"', 'zone = "dor"'),
        "unknown zone 'dor': did you mean 'door'? known: door",
    ),
    "unknown line": (rule('name = "a"', 'line = "gate"'), "unknown line 'gate': there is no [[line]] yet"),
    "unknown key": (rule('name = "a"', "dwel = 3"), "unknown key 'dwel': did you mean 'dwell'?"),
    "a setting below": (rule('name = "a"', "track_lost = 3"), "other settings stand above the first [[...]]"),
    "both places": (
        ZONE
        + '[[line]]\nname = "l"\npoints = [[0, 0], [1, 1]]\n'
        + '[[rule]]\nname = "a"\nzone = "door"\nline = "l"\n',
        "a zone or a line, not both",
    ),
    "direction": (rule('name = "a"', 'direction = "in"'), "direction needs a line"),
    "a direction": (rule('name = "a"', 'direction = "up"'), "expected one of both, in, out, got 'up'"),
    "count": (rule('name = "a"', "count = 0"), "count: expected a whole number from 1"),
    "dwell": (rule('name = "a"', "dwell = -1"), "dwell: expected a number from 0"),
    "dwell on a line": (
        '[[line]]\nname = "l"\npoints = [[0, 0], [1, 1]]\n[[rule]]\nname = "a"\nline = "l"\ndwell = 3\n',
        "count and dwell do not go with a line",
    ),
    "sizes": (rule('name = "a"', "min_size = 0.5", "max_size = 0.1"), "min_size is over max_size"),
    "labels": (rule('name = "a"', 'labels = "person"'), "labels: expected a list of labels"),
    "a long name": (rule(f'name = "{"a" * 61}"'), "a name of 1 to 60 characters"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_is_said_in_a_line(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, message = BAD[case]
    assert execute(["config", "--config", write(tmp_path, text)]) == 2
    out, err = capsys.readouterr()
    assert message in " ".join(err.split()) and "Traceback" not in err and not out


LABELS = ("person", "bicycle", "car", "")


@pytest.mark.parametrize(
    ("labels", "wanted", "task", "message"),
    [
        (LABELS, "persn", "detect", "the model has no label 'persn': did you mean 'person'?"),
        (LABELS, "#3", "detect", "the model has no label '#3'"),
        (LABELS, "", "detect", "the model has no label ''"),
        ((), "person", "detect", "it has numbers only"),
    ],
)
def test_a_label_that_the_model_has_not(
    labels: tuple[str, ...], wanted: str, task: str, message: str
) -> None:
    with pytest.raises(ConfigError) as error:
        check_labels(Scene(rules=(Rule("a", labels=(wanted,)),)), labels, task)
    assert message in str(error.value)


def test_labels_that_the_model_has() -> None:
    check_labels(Scene(rules=(Rule("a", labels=("person", "car")), Rule("b"))), LABELS, "detect")
    check_labels(Scene(rules=(Rule("a", labels=("#7",)),)), (), "detect")


def test_a_classification_has_no_places() -> None:
    scene = Scene(zones=(Zone("z", ()),), rules=(Rule("a", zone="z"),))
    with pytest.raises(ConfigError, match="says what a picture shows, not where"):
        check_labels(scene, LABELS, "classify")


# -- polygons

GRID = st.integers(0, 8).map(lambda n: n / 8)


@given(st.integers(3, 12), st.floats(0.05, 0.45), st.floats(0, 6))
def test_a_round_of_corners_is_good_and_a_swap_of_two_is_not(n: int, radius: float, turn: float) -> None:
    angles = [turn + 2 * math.pi * i / n for i in range(n)]
    points = [(0.5 + radius * math.cos(a), 0.5 + radius * math.sin(a)) for a in angles]
    check_polygon(points)
    check_polygon(points[::-1])
    if n > 3:
        points[0], points[1] = points[1], points[0]
        with pytest.raises(ValueError, match="cross"):
            check_polygon(points)


@given(st.lists(st.tuples(GRID, GRID), min_size=3, max_size=6), st.integers(0, 5))
def test_where_the_corners_begin_does_not_matter(points: list[Point], start: int) -> None:
    turned = points[start % len(points) :] + points[: start % len(points)]

    def good(corners: list[Point]) -> bool:
        try:
            check_polygon(corners)
        except ValueError:
            return False
        return True

    assert good(points) == good(turned) == good(points[::-1])


NAMES = st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=20)
RULE = st.builds(
    Rule,
    NAMES,
    zone=st.none() | NAMES,
    labels=st.lists(NAMES, max_size=3).map(tuple),
    min_score=st.none() | st.floats(0, 1),
    min_size=st.floats(0, 1),
    anchor=st.sampled_from(["bottom", "center", "top"]),
    count=st.none() | st.integers(1, 99),
    cooldown=st.floats(0, 1e6),
)


@given(st.lists(RULE, max_size=3).map(tuple))
def test_what_is_shown_can_be_read_back(rules: tuple[Rule, ...]) -> None:
    import tomllib

    assert RULES.parse(RULES.show(rules)) == rules
    assert RULES.take(tomllib.loads("rule = " + RULES.toml(rules))["rule"]) == rules
    zones = ZONES.parse('[{"name": "a\\"b", "points": [[0.1, 0.25], [0.12345678901, 1], [0, 0]]}]')
    assert ZONES.take(tomllib.loads("zone = " + ZONES.toml(zones))["zone"]) == zones
    lines = LINES.parse('[{"name": "x", "points": [[0.1, 0.25], [0.12345678901, 1]]}]')
    assert LINES.take(tomllib.loads("line = " + LINES.toml(lines))["line"]) == lines
