"""``edgecam web``, and who may open the page of a service."""

from __future__ import annotations

import io
import stat
import tomllib
from pathlib import Path

import pytest

from edgecam import accounts, build_ends
from edgecam.cli import doorkeeper
from edgecam.cli.app import execute
from edgecam.config import DEFAULTS, Settings
from edgecam.install import checks
from edgecam.install.layout import Layout
from tests.security.support import TOKEN, cheap_hash, users_file


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(accounts, "hash_password", cheap_hash)
    return tmp_path / "users"


def typed(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


def test_people_and_programs_come_and_go(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed(monkeypatch, "correct horse\n")
    assert execute(["web", "passwd", "anna", "--file", str(file)]) == 0
    assert execute(["web", "token", "prometheus", "--file", str(file)]) == 0
    said = capsys.readouterr()
    token = said.out.strip()
    anna, prometheus = accounts.read(file)
    assert (anna.name, anna.role, prometheus.name, prometheus.role) == (
        "anna",
        "admin",
        "prometheus",
        "viewer",
    )
    assert accounts.right_password("correct horse", anna.secret)
    assert accounts.right_token(token, prometheus.secret)
    assert token not in file.read_text() and token not in said.err
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    # Another password: the role stays, unless another is given.
    typed(monkeypatch, "another horse\r\n")
    assert execute(["web", "passwd", "anna", "--role", "viewer", "--file", str(file)]) == 0
    assert accounts.right_password("another horse", accounts.read(file)[0].secret)
    assert execute(["web", "users", "--file", str(file)]) == 0
    assert capsys.readouterr().out.split() == [
        *("name", "role", "shows", "anna", "viewer", "password", "prometheus", "viewer", "token")
    ]
    assert execute(["web", "remove", "anna", "--file", str(file)]) == 0
    assert [account.name for account in accounts.read(file)] == ["prometheus"]


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["passwd", "anna"], "8 to 1024 characters"),
        (["passwd", "a:b"], "cannot be a name"),
        (["token", "token"], "cannot be a name"),
        (["remove", "bob"], "'bob' is not in"),
        (["passwd", "anna", "--role", "root"], "root"),
    ],
)
def test_what_is_wrong_is_told(
    argv: list[str],
    words: str,
    file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    typed(monkeypatch, "short\n")
    assert execute(["web", *argv, "--file", str(file)]) == 2
    assert words in capsys.readouterr().err
    assert not file.exists()


def test_the_settings_shape_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAGE_TOKEN", "s/e cret")
    users = users_file(tmp_path)
    settings = Settings(
        token="env:PAGE_TOKEN",
        users=str(users),
        tls=True,
        host_names=("a.example", "b.example"),
        listen="0.0.0.0:9",
    )
    (sink,) = build_ends.create_sinks(settings)
    options = vars(sink)["_options"]
    assert options["token"] == "s/e cret" and options["users"] == str(users) and options["tls"] is True
    assert options["names"] == ("a.example", "b.example")
    assert "cret" not in sink.name


def test_users_are_found_where_they_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "edgecam").mkdir()
    users = users_file(tmp_path / "edgecam")
    (sink,) = build_ends.create_sinks(DEFAULTS)
    assert vars(sink)["_options"]["users"] == str(users)
    (sink,) = build_ends.create_sinks(Settings(insecure=True))
    assert vars(sink)["_options"]["users"] == ""


# ---- edgecam service install


@pytest.mark.parametrize(
    "text",
    [
        "",
        '# listen = "127.0.0.1:8080"\n',
        'listen = "[::1]:1"\n',
        '[[zone]]\nname = "a"\npoints = [[0,0],[1,0],[1,1]]\n',
    ],
)
def test_the_address_is_put_into_the_settings(text: str) -> None:
    changed = doorkeeper.with_listen(text.encode(), "9000")
    assert tomllib.loads(changed.decode())["listen"] == "127.0.0.1:9000"
    assert doorkeeper.with_listen(text.encode(), None) == text.encode()
    assert checks.of_text(Path("/x"), changed).address == ("127.0.0.1", 9000)


@pytest.mark.parametrize(
    ("settings", "made"),
    [
        (DEFAULTS, False),
        (Settings(listen="0.0.0.0:8080"), True),
        (Settings(listen="camera.lan:8080"), True),
        (Settings(listen="0.0.0.0:8080", token="mine"), False),
        (Settings(listen="0.0.0.0:8080", insecure=True), False),
        (Settings(listen="0.0.0.0:8080", sinks=("jsonl:-",)), False),
    ],
)
def test_a_page_for_the_network_gets_an_admin_once(
    settings: Settings, made: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts, "hash_password", cheap_hash)
    layout = Layout(tmp_path)
    page = doorkeeper.Page(settings, layout)
    steps = page.steps()
    assert bool(steps) is made
    said: list[str] = []
    page.tell(said.append)
    assert "password" not in " ".join(said)  # nothing has been written yet
    if not made:
        return
    layout.etc.mkdir(parents=True)
    (step,) = steps
    layout.users.write_bytes(step.data)  # type: ignore[attr-defined]
    page.tell(said.append)
    password = next(line.split()[-1] for line in said if "name admin" in line)
    (admin,) = accounts.read(layout.users)
    assert (admin.name, admin.role) == ("admin", "admin")
    assert accounts.right_password(password, admin.secret)
    again = doorkeeper.Page(settings, layout)
    assert again.steps() == []
    before = len(said)
    again.tell(said.append)
    assert password not in " ".join(said[before:]) and TOKEN not in " ".join(said)
