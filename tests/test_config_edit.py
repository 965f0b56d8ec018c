"""Zones, lines and masks written into a settings file."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecam import config_load
from edgecam.config import Settings
from edgecam.config_edit import Conflict, Editor, edited
from edgecam.errors import ConfigError
from edgecam.scene import SceneError

TEXT = """\
# My camera.
threshold = 0.4   # not lower

# Where people stand.
[[zone]]
name = "door"
points = [[0.1, 0.1], [0.5, 0.1], [0.5, 0.9]]  # the mat

[[zone]]
name = "gate"
points = [[0.6, 0.1], [0.9, 0.1], [0.9, 0.9]]

[[rule]]
name = "visitor"
zone = "door"
"""
DOOR = {"name": "door", "points": [[0.1, 0.1], [0.5, 0.1], [0.5, 0.9]]}
GATE = {"name": "gate", "points": [[0.6, 0.1], [0.9, 0.1], [0.9, 0.9]]}
MASK = {"name": "street", "points": [[0.0, 0.0], [1.0, 0.0], [1.0, 0.2]], "fill": "solid", "model": False}


def make(path: Path, flags: dict[str, object] | None = None) -> tuple[Editor, list[Settings], list[str]]:
    checked: list[Settings] = []
    applied: list[str] = []
    loaded = config_load.load(flags, file=str(path), environ={})
    return Editor(loaded, checked.append, lambda: applied.append("yes")), checked, applied


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "edgecam.toml"
    file.write_text(TEXT)
    file.chmod(0o640)
    return file


def test_what_stays_the_same_is_not_touched() -> None:
    assert edited(TEXT, {"zone": [DOOR, GATE]}) == TEXT
    assert edited(TEXT, {}) == TEXT


def test_comments_and_other_keys_stay(path: Path) -> None:
    editor, checked, _ = make(path)
    moved = DOOR | {"points": [[0.2, 0.1], [0.5, 0.1], [0.5, 0.9]]}
    editor.save({"zone": [moved, GATE], "mask": [MASK]}, editor.read()["version"])
    text = path.read_text()
    assert "# My camera." in text and "# not lower" in text and "# Where people stand." in text
    found = tomllib.loads(text)
    assert found["zone"] == [moved, GATE]
    assert found["mask"] == [{"name": "street", "points": MASK["points"]}]
    assert found["rule"] == [{"name": "visitor", "zone": "door"}]
    assert found["threshold"] == 0.4
    assert checked[-1].zone[0].points[0] == (0.2, 0.1)
    assert path.stat().st_mode & 0o777 == 0o640
    assert os.listdir(path.parent) == ["edgecam.toml"]  # noqa: PTH208 - hidden files too
    assert editor.read()["mask"] == [MASK]


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"zone": [GATE]}, "unknown zone 'door'"),
        ({"zone": [DOOR, DOOR]}, "two zones are named 'door'"),
        ({"zone": [DOOR | {"points": [[0.1, 0.1], [2, 0.1], [0.5, 0.9]]}]}, "outside of the picture"),
        ({"zone": [DOOR | {"points": [[0.1, 0.1], [0.5, 0.5]]}]}, "at least 3 points"),
        ({"mask": [MASK | {"points": [[0, 0], [1, 1], [1, 0], [0, 1]]}]}, "crosses itself"),
        ({"line": [DOOR]}, "a line has 2 points"),
        ({"token": ["x"]}, "cannot be edited"),
        ({"mask": ["0,0 1,0 1,1"]}, "expected tables"),
    ],
)
def test_what_is_no_good_is_refused_and_nothing_written(
    path: Path, wanted: dict[str, object], words: str
) -> None:
    editor, _, _ = make(path)
    version = editor.read()["version"]
    with pytest.raises(ConfigError, match=words) if "token" not in wanted else pytest.raises(Exception):
        editor.save(wanted, version)
    assert path.read_text() == TEXT


def test_a_file_that_somebody_else_changed_is_left_alone(path: Path) -> None:
    editor, _, _ = make(path)
    version = editor.read()["version"]
    path.write_text(TEXT + "\n# mine\n")
    with pytest.raises(Conflict, match="changed meanwhile"):
        editor.save({"zone": [DOOR, GATE]}, version)
    assert path.read_text().endswith("# mine\n")


def test_what_a_flag_says_cannot_be_edited(path: Path) -> None:
    editor, _, _ = make(path, {"mask": ("0,0 1,0 1,1",)})
    with pytest.raises(ConfigError, match="mask is set by flag --mask"):
        editor.save({"mask": []}, editor.read()["version"])


def test_lists_among_the_keys_stay_lists() -> None:
    text = "mask = ['0,0 1,0 1,0.5']  # old\nthreshold = 0.3\n"
    found = tomllib.loads(edited(text, {"mask": [MASK]}))
    assert found == {"mask": [{"name": "street", "points": MASK["points"]}], "threshold": 0.3}


def test_without_a_file_one_is_made(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config")}
    loaded = config_load.load(environ=environ)
    if loaded.files:
        pytest.skip("this machine has settings of its own in /etc")
    editor = Editor(loaded, lambda settings: None, lambda: None, environ)
    editor.save({"zone": [DOOR]}, editor.read()["version"])
    file = tmp_path / "config/edgecam/edgecam.toml"
    assert tomllib.loads(file.read_text()) == {"zone": [DOOR]}
    assert file.stat().st_mode & 0o777 == 0o600


parts = st.floats(0, 1).map(lambda v: round(v, 4))
names = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=20)


@given(st.lists(st.tuples(names, parts, parts), unique_by=lambda t: t[0], max_size=5))
def test_what_is_written_is_read_again(entries: list[tuple[str, float, float]]) -> None:
    lines = [{"name": n, "points": [[x, 0.0], [y, 1.0]]} for n, x, y in entries]
    first = edited(TEXT, {"line": lines})
    assert tomllib.loads(first).get("line", []) == lines
    assert tomllib.loads(first)["zone"] == [DOOR, GATE]
    back = list(reversed(lines))
    assert tomllib.loads(edited(first, {"line": back})).get("line", []) == back
    assert tomllib.loads(edited(first, {"line": []})) == tomllib.loads(TEXT)


RULES = """\
[[rule]]
name = "visitor"    # at the door
labels = ["person"] # nobody else
direction = "both"  # said all the same
dwell = 1.0
min_size = 0.01     # not in the page

# For the dog.
[[rule]]
name = "dog"
labels = ["dog"]
"""


def test_rules_are_changed_with_their_comments_kept(path: Path) -> None:
    path.write_text(RULES)
    editor, checked, _ = make(path)
    visitor, dog = editor.read()["rule"]
    assert visitor == {"name": "visitor", "labels": ["person"], "dwell": 1.0, "min_size": 0.01}
    del visitor["dwell"]
    visitor["cooldown"] = 5
    night = {"name": "night", "min_score": 0.7}
    editor.save({"rule": [visitor, dog, night]}, editor.read()["version"])
    text = path.read_text()
    for comment in (
        "# at the door",
        "# nobody else",
        "# said all the same",
        "# not in the page",
        "# For the dog.",
    ):
        assert comment in text
    found = tomllib.loads(text)["rule"]
    assert found == [visitor | {"direction": "both"}, dog, night]
    assert [rule.name for rule in checked[-1].rule] == ["visitor", "dog", "night"]
    editor.save({"rule": []}, editor.read()["version"])
    assert "rule" not in tomllib.loads(path.read_text())


@pytest.mark.parametrize(
    ("rules", "at"),
    [
        ([{"name": "a"}, {"name": "b", "dwell": -1}], ("rule", 1, "dwell")),
        ([{"name": "a"}, {"name": "b", "min_score": 2}], ("rule", 1, "min_score")),
        ([{"name": "a"}, {"name": " "}], ("rule", 1, "name")),
        ([{"name": "a"}, {"name": "a"}], ("rule", 1, "name")),
        ([{"name": "a", "zone": "dor"}], ("rule", 0, "zone")),
        ([{"labels": ["x"]}], ("rule", 0, "name")),
        ([{"name": "a", "direction": "in"}], ("rule", 0, "direction")),
    ],
)
def test_what_is_wrong_with_a_rule_is_said_with_its_place(
    path: Path, rules: list[dict[str, object]], at: tuple[str, int, str]
) -> None:
    editor, _, _ = make(path)
    with pytest.raises(SceneError) as caught:
        editor.save({"rule": rules}, editor.read()["version"])
    assert caught.value.at == at
    assert path.read_text() == TEXT


def test_a_zone_is_renamed_with_the_rule_that_uses_it(path: Path) -> None:
    editor, _, _ = make(path)
    wanted = {"zone": [DOOR | {"name": "gateway"}, GATE], "rule": [{"name": "visitor", "zone": "gateway"}]}
    editor.save(wanted, editor.read()["version"])
    text = path.read_text()
    assert tomllib.loads(text)["rule"] == [{"name": "visitor", "zone": "gateway"}]
    assert "# the mat" in text and "# Where people stand." in text


def test_one_that_is_put_in_anothers_place_does_not_get_its_comments(path: Path) -> None:
    editor, _, _ = make(path)
    other = {"name": "shed", "points": [[0.0, 0.0], [0.2, 0.0], [0.2, 0.2]]}
    editor.save({"zone": [other, GATE], "rule": []}, editor.read()["version"])
    assert "# the mat" not in path.read_text()
    assert tomllib.loads(path.read_text())["zone"] in ([other, GATE], [GATE, other])
