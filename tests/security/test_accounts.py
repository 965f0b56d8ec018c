"""The file of users: hashes, rights, and what is no good."""

from __future__ import annotations

import stat
import string
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from edgecam import accounts
from edgecam.accounts import Account
from edgecam.errors import UsageError
from tests.security.support import PASSWORD, cheap_hash

names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,31}", fullmatch=True).filter(
    lambda name: name not in accounts.RESERVED
)


def test_a_password_is_hashed_at_its_cost_with_a_salt_of_its_own() -> None:
    stored = accounts.hash_password(PASSWORD)
    assert stored.startswith("scrypt$14$8$5$")
    assert PASSWORD not in stored
    assert accounts.right_password(PASSWORD, stored)
    assert stored != accounts.hash_password(PASSWORD)


@given(st.text(max_size=40), st.text(max_size=40))
def test_only_the_same_password_is_right(one: str, other: str) -> None:
    stored = cheap_hash(one)
    assert accounts.right_password(one, stored) == ("\0" not in one)  # such a password is never taken
    assume("\0" not in one)  # which none that is stored has; to HMAC an empty one would look alike
    assert accounts.right_password(other, stored) == (other == one and "\0" not in other)


@given(st.text(max_size=200))
def test_what_is_no_hash_lets_nobody_in(stored: str) -> None:
    assert not accounts.right_password("", stored)


rows_of_users = st.lists(
    st.tuples(names, st.sampled_from(accounts.ROLES), st.booleans()), unique_by=lambda row: row[0]
)


@settings(max_examples=25)
@given(rows=rows_of_users)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, accounts.Role, bool]]
) -> None:
    file = tmp_path_factory.mktemp("users") / "users"
    wanted = tuple(
        Account(name, role, accounts.hash_token(name) if token else cheap_hash(name))
        for name, role, token in rows
    )
    accounts.save(file, wanted)
    assert accounts.read(file) == wanted
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["users"]


def test_a_file_keeps_its_rights_but_never_for_all(tmp_path: Path) -> None:
    file = tmp_path / "users"
    file.write_text("")
    file.chmod(0o644)
    accounts.save(file, [])
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


@pytest.mark.parametrize(
    "row",
    [
        "anna",
        "anna:admin",
        "anna:admin:",
        "anna:admin:plain",
        "anna:root:" + cheap_hash("x"),
        ":admin:" + cheap_hash("x"),
        "token:admin:" + cheap_hash("x"),
        "an na:admin:" + cheap_hash("x"),
        "anna:admin:scrypt$40$8$5$" + "A" * 24 + "$" + "A" * 44,  # a terabyte of memory
        "anna:admin:scrypt$14$8$5$" + "A" * 23 + "$" + "A" * 44,  # no base64
        "anna:admin:sha256$short",
    ],
)
def test_a_line_that_is_none_is_named_and_not_shown(row: str, tmp_path: Path) -> None:
    file = tmp_path / "users"
    file.write_text("# people\n\n" + row + "\n")
    with pytest.raises(UsageError, match=r"users: line 3 is not NAME:ROLE:HASH") as caught:
        accounts.read(file)
    assert "scrypt" not in str(caught.value) and "plain" not in str(caught.value)


def test_a_name_stands_once(tmp_path: Path) -> None:
    file = tmp_path / "users"
    file.write_text(f"a:admin:{cheap_hash('x')}\na:viewer:{cheap_hash('y')}\n")
    with pytest.raises(UsageError, match="line 2"):
        accounts.read(file)


def test_the_later_place_wins(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config")}
    assert [str(place) for place in accounts.places(environ)] == [
        "/etc/edgecam/users",
        str(tmp_path / "config" / "edgecam" / "users"),
    ]
    own = accounts.places(environ)[1]
    accounts.save(own, [])
    assert accounts.find(environ) == own


def test_made_secrets_are_long() -> None:
    assert len(accounts.new_token()) == 43
    made = accounts.new_password()
    assert len(made) == 19 and set(made) <= set(string.ascii_lowercase + string.digits + "-")
    assert made != accounts.new_password()
    for short in ("", "1234567", "x" * 1025):
        with pytest.raises(UsageError, match="8 to 1024"):
            accounts.check_password(short)
