"""``window:?fullscreen=no``: a window on the device's own screen, on a desktop or on the bare console.

Keys: ``f`` full screen and back; ``q``, Escape or closing the window end the run. The window can be resized;
the picture keeps its proportions. SDL (through pygame-ce) wants one thread for its window and events; on
Linux this may be any, so the sink keeps all of it in its own.
"""

from __future__ import annotations

import logging
import os
import threading
from typing import Any

import cv2

from edgecam.errors import SinkError, UsageError
from edgecam.registry import URI, parse_bool
from edgecam.sinks.base import SinkContext
from edgecam.sinks.worker import WorkerSink
from edgecam.types import Image, Packet

log = logging.getLogger(__name__)

_TICK = 1 / 30  # seconds between two looks at keys and mouse while no picture comes
_SCREEN_SHARE = 0.9  # of the screen that a new window takes at most
_INVISIBLE = {"offscreen", "dummy", "evdev"}  # what SDL falls back to where there is no screen
_in_use = threading.Lock()  # SDL shows one window a process here


class WindowSink(WorkerSink):
    """Shows the newest annotated picture."""

    def __init__(self, uri: URI) -> None:
        super().__init__(uri.safe, depth=1, tick=_TICK)
        if uri.path:
            raise UsageError(f"{uri.safe}: a window takes no name", "write window: or window:?fullscreen=yes")
        self._fullscreen: bool = uri.options(fullscreen=(parse_bool, False))["fullscreen"]
        self._pygame: Any = None
        self._shown: Image | None = None
        self._windowed = (0, 0)

    def _open(self, context: SinkContext) -> None:
        os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
        # Ctrl-C and SIGTERM belong to the run, not to SDL.
        os.environ["SDL_NO_SIGNAL_HANDLERS"] = "1"
        try:
            import pygame
        except ImportError as error:
            raise SinkError("the window needs pygame-ce", "pip install 'edgecam[window]'") from error
        self._pygame = pygame
        if not _in_use.acquire(blocking=False):
            raise SinkError("there is a window already", "name window: once")

    def _attach(self) -> None:
        pygame = self._pygame
        try:
            pygame.display.init()
            driver = pygame.display.get_driver()
            if driver in _INVISIBLE and os.environ.get("SDL_VIDEODRIVER") != driver:
                raise pygame.error("SDL finds no display")
        except pygame.error as error:
            pygame.display.quit()
            _in_use.release()
            raise SinkError(
                f"there is no screen to show a window on ({error})",
                "start it on the desktop (or set DISPLAY), or use --sink web:",
            ) from error

    def _handle(self, packet: Packet) -> None:
        image = packet.picture()
        if self._shown is None:
            self._make_window(image)
        self._shown = image
        self._draw()
        self._events()

    def _idle(self) -> None:
        self._events()

    def _finish(self) -> None:
        self._pygame.display.quit()
        _in_use.release()

    def _make_window(self, image: Image) -> None:
        display = self._pygame.display
        screen = display.get_desktop_sizes()[0]
        height, width = image.shape[:2]
        scale = min(1.0, _SCREEN_SHARE * screen[0] / width, _SCREEN_SHARE * screen[1] / height)
        self._windowed = (max(1, round(width * scale)), max(1, round(height * scale)))
        assert self._context is not None
        display.set_caption(f"edgecam: {self._context.source}")
        self._set_mode()

    def _set_mode(self) -> None:
        pygame = self._pygame
        if self._fullscreen:
            pygame.display.set_mode((0, 0), pygame.FULLSCREEN)
        else:
            pygame.display.set_mode(self._windowed, pygame.RESIZABLE)
        pygame.mouse.set_visible(not self._fullscreen)

    def _events(self) -> None:
        pygame = self._pygame
        if pygame.display.get_surface() is None:
            return
        for event in pygame.event.get():
            if event.type == pygame.QUIT:
                self._stop("the window was closed")
            elif event.type == pygame.KEYDOWN and event.key in {pygame.K_q, pygame.K_ESCAPE}:
                self._stop(f"{pygame.key.name(event.key)} was pressed")
            elif event.type == pygame.KEYDOWN and event.key == pygame.K_f:
                self._toggle_fullscreen()
            elif event.type in {pygame.VIDEORESIZE, pygame.VIDEOEXPOSE}:
                self._draw()

    def _stop(self, reason: str) -> None:
        assert self._context is not None
        self._context.stop(reason)

    def _toggle_fullscreen(self) -> None:
        if not self._fullscreen:
            self._windowed = self._pygame.display.get_window_size()
        self._fullscreen = not self._fullscreen
        self._set_mode()
        self._draw()

    def _draw(self) -> None:
        """The last picture, as large as the window allows, with black beside it."""
        pygame, image = self._pygame, self._shown
        if image is None:
            return
        surface = pygame.display.get_surface()
        width, height = surface.get_size()
        scale = min(width / image.shape[1], height / image.shape[0])
        size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
        pixels: Any = image
        if size != (image.shape[1], image.shape[0]):
            smooth = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
            pixels = cv2.resize(image, size, interpolation=smooth)
        if size != (width, height):
            surface.fill((0, 0, 0))
        picture = pygame.image.frombuffer(pixels.tobytes(), size, "RGB")
        surface.blit(picture, ((width - size[0]) // 2, (height - size[1]) // 2))
        pygame.display.flip()
