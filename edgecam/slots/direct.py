"""Changes in a folder that no run uses: they are seen at the next start."""

from __future__ import annotations

from edgecam.errors import ModelError
from edgecam.slots.orders import Order, Progress
from edgecam.slots.store import Store


def carry_out(store: Store, order: Order, base: str) -> Progress:
    """Carry out an order while nothing runs.

    Args:
        base: what the settings name.

    Raises:
        ModelError: the slot's file is not what it was, the folder cannot be written, or a run has started
            meanwhile.
    """
    try:
        store.make()
        claim = store.claim()
    except OSError as error:
        raise ModelError(
            f"{store.folder} cannot be written ({error.strerror})", "check its rights, or take sudo"
        ) from error
    if claim is None:
        raise ModelError("a run has just started", "try again")
    with claim:
        state = store.read()
        active, previous = (state.active, state.previous) if state.base == base else ("", "")
        wanted = previous if order.do == "rollback" else order.sha256
        if wanted == active:
            return Progress(order.id, "refused", f"{state.name(wanted)} is in use already")
        wrong = store.intact(wanted) if wanted else ""
        if wrong:
            raise ModelError(f"slot {state.name(wanted)}: {wrong}", "install it again")
        if order.do == "rollback":
            state = store.change(lambda state: state.back())
        else:
            state = store.change(lambda state: state.activate(wanted, base))
        trial = ", on trial" if state.trial is not None else ""
        return Progress(order.id, "done", f"{state.name(wanted)} will be used at the next start{trial}")
