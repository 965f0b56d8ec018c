"""From settings to both ends of a run: its source and its sinks."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlencode

from edgecam import accounts, cameras, references, registry
from edgecam.config import Settings
from edgecam.errors import SourceError, UsageError
from edgecam.registry import URI
from edgecam.sinks.base import Sink
from edgecam.sources.base import Source

Report = Callable[[str], None]

#: Sources that give pictures of the size they are asked for.
SIZED = ("camera", "picamera")


def auto_source(report: Report, wait: bool = False) -> URI:
    """The first camera found, else the demo scene, saying why; with ``wait`` whatever camera comes first."""
    try:
        return registry.source_uri(cameras.first_camera().path)
    except SourceError as error:
        if cameras.csi_cameras():
            return registry.source_uri("picamera:")
        if wait:
            return registry.source_uri("camera:")
        report(f"{error.message}; showing the demo scene instead (edgecam devices tells more)")
        return registry.source_uri("demo:")


def source_uri(settings: Settings, report: Report) -> URI:
    """The source that the settings name, or what ``auto`` finds."""
    if settings.source == "auto":
        return auto_source(report, settings.wait_for_source)
    return registry.source_uri(settings.source)


def create_source(settings: Settings, report: Report) -> Source:
    """The source that the settings name; not opened yet."""
    return make_source(source_uri(settings, report))


def make_source(uri: URI) -> Source:
    """The source of an address; not opened yet."""
    source: Source = registry.load(registry.SOURCES, "source scheme", uri.scheme)(uri)
    return source


def create_sinks(settings: Settings) -> list[Sink]:
    """The sinks that the settings name; not started yet."""
    if not settings.sinks:
        raise UsageError("no sink to send results to", "name one, for example --sink web:")
    uris = [_with_web_settings(registry.sink_uri(text), settings) for text in settings.sinks]
    return [registry.load(registry.SINKS, "sink scheme", uri.scheme)(uri) for uri in uris]


def _with_web_settings(uri: URI, settings: Settings) -> URI:
    """The settings of the page shape a web sink that does not say otherwise itself."""
    if uri.scheme != "web":
        return uri
    query = dict(uri.query)
    users = settings.users or accounts.find()
    given = {
        "token": references.value(settings.token) if settings.token else "",
        "users": str(users) if users is not None and not settings.insecure else settings.users or "",
        "insecure": "yes" if settings.insecure else "",
        "tls": "yes" if settings.tls else "",
        "cert": settings.tls_cert or "",
        "key": settings.tls_key or "",
        "names": ",".join(settings.host_names),
    }
    query = {name: value for name, value in given.items() if value} | query
    path = uri.path or (f"//{settings.listen}" if settings.listen else "")
    text = f"web:{path}" + (f"?{urlencode(query)}" if query else "")
    return registry.parse_uri(text)
