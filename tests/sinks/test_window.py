"""The window, on SDL's dummy screen and on a real X server."""

import builtins
import contextlib
import os
import shutil
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecam.errors import SinkError, UnknownNameError, UsageError
from edgecam.registry import parse_uri
from edgecam.sinks.window import WindowSink
from edgecam.types import Image

from .support import PATIENCE, Listener, packet

pygame = pytest.importorskip("pygame", reason="pygame-ce is not installed: pip install 'edgecam[window]'")
ROOT = Path(__file__).resolve().parents[2]


class Watched(WindowSink):
    """Tells the test what is on the screen after each drawing."""

    def __init__(self, uri: str = "window:") -> None:
        super().__init__(parse_uri(uri))
        self.drawn = threading.Event()
        self.screen: Image = np.zeros((0, 0, 3), np.uint8)
        self.threads: set[str] = set()

    def _draw(self) -> None:
        super()._draw()
        self.threads.add(threading.current_thread().name)
        self.screen = pygame.surfarray.array3d(pygame.display.get_surface()).transpose(1, 0, 2).copy()
        self.drawn.set()

    def wait(self) -> Image:
        assert self.drawn.wait(PATIENCE)
        self.drawn.clear()
        return self.screen


@pytest.fixture
def window(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Watched, Listener]]:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    sink, listener = Watched(), Listener()
    sink.start(listener.context())
    yield sink, listener
    sink.close()
    assert not sink.failed and not listener.reports
    assert sink.threads <= {"sink window:"}


def picture(width: int = 320, height: int = 180) -> Image:
    image = np.zeros((height, width, 3), np.uint8)
    image[:, : width // 2] = (250, 10, 20)
    image[:, width // 2 :] = (10, 20, 250)
    return image


def test_shows_the_picture_in_its_own_size_and_colours(window: tuple[Watched, Listener]) -> None:
    sink, _ = window
    sink.push(packet(0, picture()))
    assert (sink.wait() == picture()).all()


def test_a_picture_of_another_shape_keeps_its_proportions(window: tuple[Watched, Listener]) -> None:
    sink, _ = window
    sink.push(packet(0, picture()))
    sink.wait()
    sink.push(packet(1, np.full((180, 90, 3), 200, np.uint8)))
    screen = sink.wait()
    assert screen.shape == (180, 320, 3)
    assert (screen[:, 115:205] == 200).all() and (screen[:, :115] == 0).all() and (screen[:, 205:] == 0).all()


def test_a_large_picture_is_made_to_fit_the_screen(window: tuple[Watched, Listener]) -> None:
    sink, _ = window
    sink.push(packet(0, picture(7680, 4320)))
    height, width = sink.wait().shape[:2]
    desktop = pygame.display.get_desktop_sizes()[0]
    assert width <= desktop[0] and height <= desktop[1]
    assert width / height == pytest.approx(16 / 9, rel=0.01)


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (lambda: pygame.event.Event(pygame.QUIT), "the window was closed"),
        (lambda: pygame.event.Event(pygame.KEYDOWN, key=pygame.K_q), "q was pressed"),
        (lambda: pygame.event.Event(pygame.KEYDOWN, key=pygame.K_ESCAPE), "escape was pressed"),
    ],
)
def test_ends_the_run(window: tuple[Watched, Listener], event: Callable[[], Any], reason: str) -> None:
    """Also while no picture comes."""
    sink, listener = window
    sink.push(packet(0, picture()))
    sink.wait()
    pygame.event.post(event())
    assert listener.stopped.wait(PATIENCE)
    assert listener.reasons == [reason]


def test_full_screen_and_back(window: tuple[Watched, Listener]) -> None:
    sink, listener = window
    sink.push(packet(0, picture()))
    before = sink.wait().shape
    for full in (True, False):
        pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=pygame.K_f))
        shape = sink.wait().shape
        assert sink._fullscreen == full
        assert shape[1::-1] == tuple(pygame.display.get_desktop_sizes()[0]) if full else shape == before
    pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=pygame.K_x))
    sink.push(packet(1, picture()))
    sink.wait()
    assert not listener.reasons


def test_live_shows_the_newest(window: tuple[Watched, Listener]) -> None:
    sink, _ = window
    for value in range(50):
        sink.push(packet(value, np.full((90, 160, 3), value, np.uint8)))
    while sink.wait()[0, 0, 0] != 49:
        pass


def test_starts_full_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    sink = Watched("window:?fullscreen=yes")
    sink.start(Listener().context())
    sink.push(packet(0, picture()))
    desktop = pygame.display.get_desktop_sizes()[0]
    assert sink.wait().shape[1::-1] == tuple(desktop)
    sink.close()


def test_only_one_window(window: tuple[Watched, Listener]) -> None:
    second = WindowSink(parse_uri("window:"))
    with pytest.raises(SinkError, match="there is a window already"):
        second.start(Listener().context())
    second.close()


def test_without_a_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SDL_VIDEODRIVER", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SDL_VIDEODRIVER", "x11")
    for _ in range(2):  # and the next try is not barred
        with pytest.raises(SinkError, match=r"no screen to show a window on .*use --sink web:"):
            WindowSink(parse_uri("window:")).start(Listener().context())


def test_what_sdl_shows_to_nobody_is_no_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a display SDL falls back to a driver that draws into memory."""
    monkeypatch.delenv("SDL_VIDEODRIVER", raising=False)
    monkeypatch.setattr(pygame.display, "get_driver", lambda: "offscreen")
    monkeypatch.setattr(pygame.display, "init", lambda: None)
    with pytest.raises(SinkError, match="no screen to show a window on"):
        WindowSink(parse_uri("window:")).start(Listener().context())


def test_without_pygame(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def refuse(name: str, *args: Any, **keywords: Any) -> Any:
        if name == "pygame":
            raise ImportError("No module named 'pygame'")
        return real(name, *args, **keywords)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(SinkError, match=r"the window needs pygame-ce: pip install 'edgecam\[window\]'"):
        WindowSink(parse_uri("window:")).start(Listener().context())


def test_wrong_names_and_options() -> None:
    with pytest.raises(UsageError, match="takes no name"):
        WindowSink(parse_uri("window:kitchen"))
    with pytest.raises(UnknownNameError, match="fullscreen"):
        WindowSink(parse_uri("window:?fulscreen=yes"))


CHILD = """
    import time
    import numpy as np
    from edgecam.registry import parse_uri
    from edgecam.sinks.window import WindowSink
    from tests.sinks.support import Listener, packet
    sink, listener = WindowSink(parse_uri("window:")), Listener()
    sink.start(listener.context())
    sink.push(packet(0, np.full((300, 400, 3), (200, 40, 60), np.uint8)))
    listener.stopped.wait()
    sink.close()
    print(*listener.reasons, *listener.reports)
"""


@pytest.fixture
def x_server(tmp_path: Path) -> Iterator[tuple[dict[str, str], Path]]:
    """Environment for programs on a virtual X server, and the file that is its screen."""
    for program in ("Xvfb", "xdotool"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed: apt install {program.lower()}")
    reader, writer = os.pipe()
    command = ["Xvfb", "-displayfd", str(writer), "-screen", "0", "800x600x24", "-fbdir", str(tmp_path)]
    server = subprocess.Popen([*command, "-nolisten", "tcp"], pass_fds=(writer,), stderr=subprocess.DEVNULL)
    os.close(writer)
    with os.fdopen(reader) as answer:
        number = answer.readline().strip()
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("SDL_", "WAYLAND"))}
    yield {**environment, "DISPLAY": f":{number}"}, tmp_path / "Xvfb_screen0"
    server.terminate()
    server.wait(PATIENCE)


@pytest.mark.display
def test_on_a_real_screen_with_a_real_key(x_server: tuple[dict[str, str], Path]) -> None:
    environment, screen = x_server
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(CHILD)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    shown = 400 * 300
    try:
        seen = 0
        while seen < shown and child.poll() is None:
            pixels = np.frombuffer(screen.read_bytes()[-800 * 600 * 4 :], np.uint8).reshape(-1, 4)
            seen = int((pixels[:, :3] == (60, 40, 200)).all(axis=1).sum())  # blue, green, red
        while child.poll() is None:  # a key that comes before the window has the focus is lost
            subprocess.run(["xdotool", "key", "q"], env=environment, check=True)
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(0.2)
        output, _ = child.communicate(timeout=PATIENCE)
    finally:
        child.kill()
        child.wait()
    assert seen == shown
    assert child.returncode == 0 and output.startswith("q was pressed")
