"""One definition, three ways to say it: files, environment, flags."""

from __future__ import annotations

import dataclasses
import logging
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecam import config_load
from edgecam.cli.commands.config import as_dict, to_toml
from edgecam.config import DEFAULTS, OPTIONS, Settings, flag, redacted, shown, variable
from edgecam.config_load import Loaded, Origin
from edgecam.errors import ConfigError
from edgecam.options import Many, Number, Switch, Text


def load(
    tmp_path: Path, toml: str = "", environ: dict[str, str] | None = None, **flags: Any
) -> config_load.Loaded:
    file = tmp_path / "edgecam.toml"
    file.write_text(toml, encoding="utf-8")
    return config_load.load(flags, file=str(file), environ=environ or {})


def error(tmp_path: Path, toml: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, toml)
    assert caught.value.exit_code == 2
    return str(caught.value)


# Precedence and origin


def test_defaults_hold_where_nothing_is_said(tmp_path: Path) -> None:
    loaded = load(tmp_path)
    assert loaded.settings == Settings()
    assert set(loaded.origins.values()) == {Origin("default")}


def test_later_beats_earlier_and_the_origin_is_kept(tmp_path: Path) -> None:
    toml = "threshold = 0.1\ntop_k = 3\nthreads = 2"
    environ = {"EDGECAM_THRESHOLD": "0.2", "EDGECAM_TOP_K": "4"}
    loaded = load(tmp_path, toml, environ, threshold=0.3)
    assert (loaded.settings.threads, loaded.settings.top_k, loaded.settings.threshold) == (2, 4, 0.3)
    assert str(loaded.origins["threads"]) == f"file {tmp_path / 'edgecam.toml'}"
    assert str(loaded.origins["top_k"]) == "env EDGECAM_TOP_K"
    assert str(loaded.origins["threshold"]) == "flag --threshold"
    assert str(loaded.origins["iou"]) == "default"


def test_a_flag_says_off_where_the_file_says_on(tmp_path: Path) -> None:
    assert load(tmp_path, "insecure = true", insecure=False).settings.insecure is False


def test_the_users_file_beats_the_systems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    system, user = tmp_path / "etc.toml", tmp_path / "home.toml"
    system.write_text("top_k = 1\niou = 0.4")
    user.write_text("top_k = 2")
    monkeypatch.setattr(config_load, "default_files", lambda environ: (system, user))
    loaded = config_load.load(environ={})
    assert (loaded.settings.top_k, loaded.settings.iou) == (2, 0.4)
    assert loaded.files == (system, user)
    assert loaded.origins["iou"].where == str(system)


def test_default_files_are_the_systems_and_the_users() -> None:
    system, user = config_load.default_files({"HOME": "/home/ann"})
    assert system == Path("/etc/edgecam/edgecam.toml")
    assert user == Path("/home/ann/.config/edgecam/edgecam.toml")
    assert config_load.default_files({"XDG_CONFIG_HOME": "/x"})[1] == Path("/x/edgecam/edgecam.toml")


def test_a_user_without_a_home_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr("os.getuid", lambda: 4_000_000)
    assert len(config_load.default_files({})) == 2
    assert config_load.load(environ={}).settings == Settings()


def test_a_file_in_the_current_folder_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "edgecam.toml").write_text("top_k = 9")
    monkeypatch.chdir(tmp_path)
    assert config_load.load(environ={"HOME": str(tmp_path / "nobody")}).settings.top_k is None


def test_the_file_may_be_named_in_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text("top_k = 9")
    assert config_load.load(environ={"EDGECAM_CONFIG": str(file)}).settings.top_k == 9


def test_an_empty_variable_counts_as_not_set(tmp_path: Path) -> None:
    assert load(tmp_path, "token = 'abc'", {"EDGECAM_TOKEN": ""}).settings.token == "abc"


def test_a_variable_with_several_values(tmp_path: Path) -> None:
    environ = {"EDGECAM_SINKS": "web: 'record:my cam.mp4'", "EDGECAM_CLASSES": "person, traffic light"}
    settings = load(tmp_path, environ=environ).settings
    assert settings.sinks == ("web:", "record:my cam.mp4")
    assert settings.classes == ("person", "traffic light")


def test_windows_editors_leave_a_byte_order_mark(tmp_path: Path) -> None:
    assert load(tmp_path, "\ufefftop_k = 3").settings.top_k == 3


# Mistakes: each names the key, the place and the remedy


def test_a_typo_names_the_key_the_file_and_the_right_one(tmp_path: Path) -> None:
    message = error(tmp_path, "treshold = 0.5")
    assert "'treshold'" in message
    assert str(tmp_path / "edgecam.toml") in message
    assert "did you mean 'threshold'?" in message
    assert "\n" not in message


def test_a_dash_for_an_underscore_is_a_typo_too(tmp_path: Path) -> None:
    assert "did you mean 'top_k'?" in error(tmp_path, "top-k = 3")


@pytest.mark.parametrize(
    ("toml", "expected", "got"),
    [
        ("threshold = 'high'", "a number from 0 to 1", 'the text "high"'),
        ("threshold = 1.5", "a number from 0 to 1", "1.5"),
        ("threshold = nan", "a number from 0 to 1", "nan"),
        ("threshold = true", "a number from 0 to 1", "true"),
        ("top_k = 2.5", "a whole number from 1", "the number 2.5"),
        ("top_k = 0", "a whole number from 1", "0"),
        ("insecure = 1", "true or false", "the number 1"),
        ("sinks = 'web:'", "a list of sinks", 'the text "web:"'),
        ("sinks = [1]", "a list of sinks", "the list [1]"),
        ("source = 0", "a camera, an address, a file or a folder", "the number 0"),
        ("resize = 'squeeze'", "one of stretch, letterbox, crop", "'squeeze'"),
        ("normalize = '1,2,3'", "MEAN,STD", "'1,2,3'"),
        ("normalize = '0,0'", "a STD above 0", "'0,0'"),
        ("device = 'tpu'", "usb:N", "'tpu'"),
        ("listen = 'localhost:http'", "HOST:PORT", "'localhost:http'"),
        ("outputs = ['boxes']", "ROLE=TENSOR", "'boxes'"),
        ("[threads]\nn = 1", "a whole number from 0", "a table"),
    ],
)
def test_a_wrong_value_names_key_expected_and_got(tmp_path: Path, toml: str, expected: str, got: str) -> None:
    message = error(tmp_path, toml)
    key = toml.strip("[").partition(" ")[0].partition("]")[0]
    assert f"{tmp_path / 'edgecam.toml'}: {key}: expected " in message
    assert expected in message
    assert message.endswith(f"got {got}")


def test_broken_toml_names_file_and_line(tmp_path: Path) -> None:
    message = error(tmp_path, "top_k = 3\nthreads = two\n")
    assert str(tmp_path / "edgecam.toml") in message
    assert "line 2" in message


def test_a_named_file_must_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no such file.*edgecam config --toml"):
        config_load.load(file=str(tmp_path / "absent.toml"), environ={})


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    file = tmp_path / "edgecam.toml"
    file.write_bytes(b"\xff\xfe\x00top_k")
    with pytest.raises(ConfigError, match=r"edgecam\.toml: not readable"):
        config_load.load(file=str(file), environ={})


def test_a_default_file_that_may_not_be_read_is_left_out_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "etc.toml"
    file.write_text("top_k = 1")

    def refuse(*args: object, **kwargs: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(config_load, "default_files", lambda environ: (file,))
    monkeypatch.setattr(Path, "read_text", refuse)
    with caplog.at_level(logging.WARNING):
        assert config_load.load(environ={}).settings.top_k is None
    assert f"{file}: not readable" in caplog.text
    with pytest.raises(ConfigError, match="not readable for this user"):
        config_load.load(file=str(file), environ={})


def test_a_wrong_variable_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^EDGECAM_TOP_K: expected a whole number from 1, got 'many'$"):
        load(tmp_path, environ={"EDGECAM_TOP_K": "many"})
    with pytest.raises(ConfigError, match=r"EDGECAM_SINKS: expected a list of sinks.*quotation"):
        load(tmp_path, environ={"EDGECAM_SINKS": "web: 'record:"})


def test_a_variable_that_is_almost_ours_is_a_typo(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"EDGECAM_TRESHOLD.*did you mean EDGECAM_THRESHOLD\?"):
        load(tmp_path, environ={"EDGECAM_TRESHOLD": "0.5"})


def test_variables_of_others_are_left_alone(tmp_path: Path) -> None:
    # What Kubernetes sets for a service called edgecam.
    environ = {
        "EDGECAM_SERVICE_HOST": "10.0.0.1",
        "EDGECAM_PORT": "tcp://10.0.0.1:80",
        "EDGECAM_TEST_REAL": "x",
    }
    assert load(tmp_path, environ=environ).settings == Settings()


# One definition


@pytest.mark.parametrize("name", list(OPTIONS))
def test_every_setting_is_described(name: str) -> None:
    option = OPTIONS[name]
    assert option.help
    assert option.help[-1] != "."
    assert option.section
    assert bool(option.metavar) is not isinstance(option.kind, Switch)
    if getattr(DEFAULTS, name) is None:
        assert option.kind.parse(option.example) is not None


def test_names_are_unique_and_follow_one_rule() -> None:
    assert flag("top_k") == "--top-k"
    assert variable("top_k") == "EDGECAM_TOP_K"
    for naming in (flag, variable):
        assert len({naming(name) for name in OPTIONS}) == len(OPTIONS)
    shorts = [option.short for option in OPTIONS.values() if option.short]
    assert len(set(shorts)) == len(shorts)


@pytest.mark.parametrize("name", list(OPTIONS))
def test_defaults_survive_being_written_down(name: str) -> None:
    kind, value = OPTIONS[name].kind, getattr(DEFAULTS, name)
    if value is not None:
        assert kind.parse(kind.show(value)) == value
        assert kind.take(tomllib.loads(f"x = {kind.toml(value)}")["x"]) == value


texts = st.text(st.characters(exclude_categories=("Cs",)))
words = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0\r\n"), min_size=1)
labels = st.from_regex(r"[^\s,][^,\r\n]*[^\s,]", fullmatch=True)


@given(texts)
def test_any_text_survives_toml(text: str) -> None:
    kind = Text()
    assert tomllib.loads(f"x = {kind.toml(text)}")["x"] == text


@given(st.lists(words).map(tuple))
def test_any_list_survives_a_variable_and_toml(items: tuple[str, ...]) -> None:
    kind = Many(" ", "things")
    assert kind.parse(kind.show(items)) == items
    assert kind.take(tomllib.loads(f"x = {kind.toml(items)}")["x"]) == items


@given(st.lists(labels).map(tuple))
def test_any_labels_survive_commas(items: tuple[str, ...]) -> None:
    kind = Many(",", "labels")
    assert kind.parse(kind.show(items)) == items


@given(st.floats(0, 1))
def test_any_number_survives(number: float) -> None:
    kind = Number(float, 0, 1)
    assert kind.parse(kind.show(number)) == number
    assert kind.take(tomllib.loads(f"x = {kind.toml(number)}")["x"]) == number


def test_paths_know_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    settings = load(tmp_path, "model = '~/m.tflite'\nsource = '~cam'").settings
    assert settings.model == f"{tmp_path}/m.tflite"
    assert settings.source == "~cam"


# What is shown


SECRETS = Settings(
    token="t0psecret",
    source="rtsp://ann:t0psecret@cam/1",
    sinks=("web:?token=t0psecret&x=1", "record:a b.mp4"),
)


def test_secrets_are_not_shown() -> None:
    loaded = Loaded(SECRETS, dict.fromkeys(OPTIONS, Origin("default")))
    everything = [shown(name, SECRETS) for name in OPTIONS] + [str(as_dict(loaded)), to_toml(loaded)]
    assert not [text for text in everything if "t0psecret" in text]
    assert redacted("token", SECRETS) == "***"
    assert redacted("sinks", SECRETS) == ("web:?token=***&x=1", "record:a b.mp4")
    assert shown("source", SECRETS) == "rtsp://***@cam/1"


def test_toml_lists_every_key_and_reads_back(tmp_path: Path) -> None:
    settings = dataclasses.replace(Settings(), top_k=3, classes=("person",), status_line=False, source="0")
    text = to_toml(Loaded(settings, dict.fromkeys(OPTIONS, Origin("default"))))
    assert load(tmp_path, text).settings == settings
    every = "\n".join(
        line.removeprefix("# ")
        for line in text.splitlines()
        if line.removeprefix("# ").partition(" =")[0] in OPTIONS
    )
    assert set(tomllib.loads(every)) == set(OPTIONS)
    load(tmp_path, every)
