"""What speaks against an installation, found before anything is changed."""

from __future__ import annotations

from pathlib import Path

from edgecam import build, config_load, registry
from edgecam.config import Settings
from edgecam.errors import ConfigError, EdgecamError, UsageError
from edgecam.install.layout import HIDDEN, Instance

#: Sources that only one program can have at a time.
EXCLUSIVE = ("auto", "camera", "picamera")


def read(path: Path) -> Settings:
    """The settings of one file alone, as the service will see them.

    Raises:
        ConfigError: see :func:`edgecam.config_load.load`.
    """
    return config_load.load(file=str(path), environ={}).settings


def of_text(path: Path, text: bytes) -> Settings:
    """The same for a file that is to be written with ``text``.

    Raises:
        ConfigError: see :func:`edgecam.config_load.load`; or it is no text.
    """
    try:
        words = text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not readable ({error})") from error
    return config_load.load(file=str(path), environ={}, instead=(path, words)).settings


def settings(instance: Instance, wanted: Settings) -> None:
    """
    Raises:
        EdgecamError: a model or a file that is absent or out of the service's sight; another service has the
            same port or camera.
    """
    for key in ("model", "labels", "delegate"):
        _check_visible(instance, key, getattr(wanted, key))
    for model in wanted.model_ladder:
        _check_visible(instance, "model_ladder", model)
    build.check(wanted)
    for other in instance.layout.instances():
        if other == instance:
            continue
        try:
            theirs = read(other.config)
        except EdgecamError:
            continue  # its own affair
        _check_apart(other, wanted, theirs)


def _check_visible(instance: Instance, key: str, value: str | None) -> None:
    if value is None or not ("/" in value or value.endswith(".tflite")):
        return
    path = Path(value.partition("?")[0])
    if not path.is_absolute():
        raise UsageError(
            f"{key} = {value}: a service has no current folder", "name the file by its whole path"
        )
    for folder in HIDDEN:
        if path.is_relative_to(folder) or path.resolve().is_relative_to(folder):
            raise UsageError(
                f"{key} = {value}: a service cannot see {folder}",
                f"put the file into {instance.layout.state}/models and name it by its path there",
            )


def _check_apart(other: Instance, wanted: Settings, theirs: Settings) -> None:
    ports = _ports(wanted) & _ports(theirs)
    if ports:
        raise UsageError(
            f"{other.unit} has its page at {min(ports)} already",
            f"give this one another in its settings file: listen = {_next(max(ports))!r}",
        )
    if _camera(wanted) and _camera(wanted) == _camera(theirs):
        raise UsageError(
            f"{other.unit} has the source {theirs.source!r} already, and a camera serves only one",
            "name another camera in its settings file: source = ... (edgecam devices lists them)",
        )


def _ports(settings: Settings) -> set[str]:
    """``host:port`` of the pages."""
    found = set()
    for text in settings.sinks:
        uri = registry.sink_uri(text)
        if uri.scheme == "web":
            host, port = settings.address
            port = int(uri.query.get("port", port))
            if uri.path.isdecimal():
                port = int(uri.path)
            elif uri.path.startswith("//"):
                host, port = uri.netloc[0] or host, uri.netloc[1] or port
            found.add(f"{host}:{port}")
    return {place for place in found if not place.endswith(":0")}


def _camera(settings: Settings) -> str:
    if settings.source == "auto":
        return "auto"
    uri = registry.source_uri(settings.source)
    if uri.scheme not in EXCLUSIVE:
        return ""
    if not uri.path:
        return "auto"  # the first that is found, as well
    return f"{uri.scheme}:/dev/video{uri.path}" if uri.path.isdecimal() else f"{uri.scheme}:{uri.path}"


def _next(place: str) -> str:
    host, _, port = place.rpartition(":")
    return f"{host}:{int(port) + 1}"
