"""``edgecam doctor``: looks at everything that recognition needs, from the machine to the picture.

Each check gathers facts (on this machine, or in a child process where it must load what may crash) and a pure
function judges them. A check that fails itself is a finding too.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

from edgecam.doctor import camera, coral, machine, packages, setup
from edgecam.doctor.context import Context
from edgecam.doctor.findings import Finding, failure

log = logging.getLogger(__name__)

Check = Callable[[Context], Iterator[Finding]]

#: From the machine to the picture: what stands further up breaks what stands below.
CHECKS: tuple[tuple[str, Check], ...] = (
    ("machine", machine.checks),
    ("packages", packages.checks),
    ("settings", setup.check_settings),
    ("Edge TPU", coral.checks),
    ("model", setup.check_model),
    ("camera", camera.checks),
    ("port", setup.check_port),
)


def examine(context: Context, checks: tuple[tuple[str, Check], ...] = CHECKS) -> Iterator[Finding]:
    """Every finding, as it is made."""
    for name, check in checks:
        try:
            yield from check(context)
        except Exception as error:
            log.debug("check %s", name, exc_info=True)
            yield failure(
                name,
                f"the check itself failed: {type(error).__name__}: {error}",
                "please report it with the output of edgecam doctor -vv",
            )
