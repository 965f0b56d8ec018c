"""The state of the slots: its ways to change, in any order."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecam.errors import ModelError, UnknownNameError
from edgecam.slots.state import STARTS, Slot, State, Trial


def slot(n: int, **more: object) -> Slot:
    return replace(Slot(f"door-{n}", f"{n:064x}", 10, "door", str(n)), **more)  # type: ignore[arg-type]


A, B, C = (slot(n) for n in (1, 2, 3))
STATE = State().install(A).install(B).install(C)


def test_a_new_model_is_on_trial_and_the_old_one_comes_back() -> None:
    first = STATE.activate(A.sha256, "base").start().prove()
    second = first.activate(B.sha256, "base")
    assert second.trial == Trial(A.sha256) and second.previous == A.sha256
    failed = second.fail("it is blind")
    assert failed.active == A.sha256 and failed.trial is None
    assert failed.refused == {B.sha256: "it is blind"}
    assert second.prove().back().active == A.sha256


def test_the_settings_model_needs_no_trial() -> None:
    assert STATE.activate(A.sha256, "base").prove().activate("", "base").trial is None


def test_starts_that_die_bring_the_old_model_back() -> None:
    state = STATE.activate(A.sha256, "base").prove().activate(B.sha256, "base")
    for n in range(STARTS):
        state = state.start()
        assert state.active == B.sha256, n
    assert state.start().active == A.sha256
    orderly = STATE.activate(B.sha256, "base")
    for _ in range(3 * STARTS):
        orderly = orderly.start().end()
    assert orderly.active == B.sha256


def test_other_settings_start_from_themselves() -> None:
    state = STATE.activate(A.sha256, "base").prove().activate(B.sha256, "another")
    assert state.trial == Trial("") and state.base == "another"


def test_slots_are_found_by_name_and_by_the_beginning_of_their_hash() -> None:
    state = STATE.install(slot(4, name="gate", sha256="abcdef" + "0" * 58, model="gate"))
    assert state.find("door-2") == B.sha256 and state.find("abcdef") == "abcdef" + "0" * 58
    assert state.find("gate") == "abcdef" + "0" * 58 and state.find("settings") == ""
    for name in ("door", "abc", "nothing"):
        with pytest.raises(UnknownNameError):
            state.find(name)


def test_the_same_name_never_hides_what_is_needed() -> None:
    state = STATE.activate(A.sha256, "base").prove()
    again = state.install(slot(9, name="door-1"))
    assert again.slot(A.sha256) is not None and again.name(slot(9).sha256) == "door-1-2"


def test_what_is_in_use_cannot_be_removed() -> None:
    state = STATE.activate(A.sha256, "base").prove().activate(B.sha256, "base")
    for needed in (A, B):
        with pytest.raises(ModelError, match="is in use"):
            state.remove(needed.sha256)
    assert state.remove(C.sha256).slot(C.sha256) is None


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("install"), st.integers(1, 8)),
        st.tuples(st.just("activate"), st.integers(0, 8), st.sampled_from(["base", "other"])),
        *(st.tuples(st.just(name)) for name in ("start", "end", "prove", "back", "forget")),
        st.tuples(st.just("fail"), st.just("why")),
    ),
    max_size=40,
)


@given(STEPS)
def test_any_way_leads_to_models_that_are_there(steps: list[tuple[object, ...]]) -> None:
    state = State()
    for name, *more in steps:
        if name == "install":
            state = state.install(slot(int(str(more[0]))))
        elif name == "activate":
            known = ["", *(s.sha256 for s in state.slots)]
            state = state.activate(known[int(str(more[0])) % len(known)], str(more[1]))
        else:
            state = getattr(state, str(name))(*([1] if name == "forget" else more))
        there = {"", *(s.sha256 for s in state.slots)}
        fallback = "" if state.trial is None else state.trial.fallback
        assert {state.active, state.previous, fallback} <= there
        assert state.trial is None or (state.active and fallback != state.active)
        assert len({s.name for s in state.slots}) == len(state.slots)
        assert State.from_json(json.loads(json.dumps(state.as_json()))) == state
