"""From settings to running parts: the place that knows how they fit together.

Models are made in :mod:`edgecam.build_model`, sources and sinks in :mod:`edgecam.build_ends`, what is
private in :mod:`edgecam.build_privacy`, and one run of them all in :mod:`edgecam.build_run`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from edgecam import registry
from edgecam.build_ends import Report as Report
from edgecam.build_ends import create_sinks as create_sinks
from edgecam.build_ends import create_source as create_source
from edgecam.build_model import check_ladder as check_ladder
from edgecam.build_model import load_model as load_model
from edgecam.build_model import overrides as overrides
from edgecam.build_privacy import check_motion
from edgecam.build_run import run_once
from edgecam.config import Settings
from edgecam.config_edit import Editor
from edgecam.config_load import Loaded
from edgecam.errors import EdgecamError
from edgecam.pipeline import RunReport
from edgecam.service import Renewal, Service
from edgecam.sinks.progress import Progress

log = logging.getLogger(__name__)


def check(settings: Settings) -> None:
    """Raise what is wrong with settings that can be seen without opening or loading anything.

    Raises:
        UsageError, ModelError: an address, an option or a model that cannot be.
    """
    uri = registry.source_uri("demo:" if settings.source == "auto" else settings.source)
    registry.load(registry.SOURCES, "source scheme", uri.scheme)(uri)
    create_sinks(settings)
    check_motion(settings)
    check_ladder(settings)


def run(
    settings: Settings,
    report: Report,
    progress: Progress | None = None,
    reload: Callable[[], Settings] | None = None,
    loaded: Loaded | None = None,
) -> RunReport:
    """Run until the source ends, a bound is reached or a signal comes. Main thread only.

    Args:
        report: tells the user one line.
        progress: called with (frames done, frames in all or None) after each frame of a source that ends
            by itself; never for a live one.
        reload: reads the settings anew, when the service manager asks for it. Settings that are no good are
            refused with a line, and the run goes on; with good ones it begins anew in the same process.
        loaded: where the settings came from; the page may change that file if it was asked to.

    Raises:
        EdgecamError: something could not be opened, or failed for good.
    """
    renewal = None if reload is None else Renewal(reload, check, report)
    service = Service(report, None if renewal is None else renewal.look)
    editor = None if loaded is None else Editor(loaded, check, service.ask_reload)
    before: Settings | None = None
    with service.signals():
        while True:
            try:
                result = run_once(settings, report, progress, service, editor)
            except KeyboardInterrupt:
                return RunReport(reason=service.stopped)
            except EdgecamError as error:
                if before is None or service.ready:
                    raise
                report(f"the new settings do not work, back to the old ones: {error}")
                settings, before = before, None
                continue
            new = None if renewal is None else renewal.take()
            if service.stopped or new is None:
                return result
            settings, before = new, settings
            report("new settings")
