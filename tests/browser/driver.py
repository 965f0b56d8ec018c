"""Headless Chromium by ChromeDriver's own protocol (W3C WebDriver over HTTP); needs no further package."""

from __future__ import annotations

import base64
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

T = TypeVar("T")

FLAGS = (
    "--headless",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)


def need_chromium() -> tuple[str, str]:
    """Paths of the browser and its driver; skips without them."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if browser is None or driver is None:
        pytest.skip("Chromium is not installed: apt install chromium chromium-driver")
    return browser, driver


class Browser:
    """One ChromeDriver with one window. A context manager; ends both."""

    def __init__(self, profile: Path, *, dark: bool = False) -> None:
        browser, driver = need_chromium()
        self._process = subprocess.Popen([driver, "--port=0"], stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        port = ""
        for line in self._process.stdout:
            match = re.search(r"started successfully on port (\d+)", line)
            if match:
                port = match[1]
                break
        assert port, "ChromeDriver did not start"
        self._http = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False)
        flags = [*FLAGS, f"--user-data-dir={profile}"]
        if os.geteuid() == 0:
            flags.append("--no-sandbox")  # Chromium's sandbox refuses to run as root, as in a container
        options = {"binary": browser, "args": flags}
        capabilities = {
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL"},
            "pageLoadStrategy": "none",
        }
        try:
            found = self._send("POST", "/session", {"capabilities": {"alwaysMatch": capabilities}})
        except BaseException:
            self._end()
            raise
        self._session = f"/session/{found['sessionId']}"
        self.scheme("dark" if dark else "light")

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._http.delete(self._session)
        finally:
            self._end()

    def _end(self) -> None:
        self._http.close()
        self._process.terminate()
        self._process.wait(10)
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _send(self, method: str, path: str, body: object = None) -> Any:
        answer = self._http.request(method, path, json=body).json()["value"]
        if isinstance(answer, dict) and answer.get("error"):
            raise RuntimeError(f"{answer['error']}: {answer['message']}")
        return answer

    def open(self, url: str) -> None:
        self._send("POST", f"{self._session}/url", {"url": url})

    def run(self, script: str, *args: object) -> Any:
        """The value of a script's ``return``."""
        return self._send("POST", f"{self._session}/execute/sync", {"script": script, "args": args})

    def text(self, selector: str) -> str:
        """The text of an element, "" while there is none or it is not visible."""
        script = (
            "const e = document.querySelector(arguments[0]); return e?.checkVisibility() ? e.innerText : ''"
        )
        return str(self.run(script, selector))

    def wait(self, what: str, probe: Callable[[], T], timeout: float = 15) -> T:
        """Ask until the answer is truthy."""
        deadline = time.monotonic() + timeout
        while True:
            value = probe()
            if value:
                return value
            assert time.monotonic() < deadline, f"{what}: did not come true within {timeout} s"
            time.sleep(0.05)

    def wait_text(self, selector: str, wanted: str, timeout: float = 15) -> None:
        self.wait(f"{selector} says {wanted!r}", lambda: wanted in self.text(selector), timeout)

    def key(self, key: str) -> None:
        """Press one key."""
        code, text = KEYS[key]
        for kind in ("keyDown", "keyUp"):
            self.cdp(
                "Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, text=text
            )

    def type(self, selector: str, text: str) -> None:
        self.run("document.querySelector(arguments[0]).focus()", selector)
        self.cdp("Input.insertText", text=text)

    def click(self, selector: str) -> None:
        """Click with the mouse, as a person would."""
        x, y = self.run(
            "const e = document.querySelector(arguments[0]); e.scrollIntoView({ block: 'nearest' });"
            "const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]",
            selector,
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.cdp("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def cdp(self, command: str, **params: object) -> Any:
        """A command of the Chrome DevTools protocol."""
        return self._send("POST", f"{self._session}/goog/cdp/execute", {"cmd": command, "params": params})

    def resize(self, width: int, height: int, *, mobile: bool = False, scale: float = 1) -> None:
        self.cdp(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=mobile,
        )

    def scheme(self, name: str) -> None:
        """``light`` or ``dark``."""
        self.cdp("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def complaints(self) -> list[str]:
        """What the browser's console held since the last call: errors and broken content policies."""
        entries = self._send("POST", f"{self._session}/se/log", {"type": "browser"})
        return [f"{e['level']}: {e['message']}" for e in entries if e["level"] in ("SEVERE", "WARNING")]

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self._send("GET", f"{self._session}/screenshot")))


KEYS = {
    "Tab": (9, ""),
    "Escape": (27, ""),
    "Delete": (46, ""),
    "Enter": (13, "\r"),
    "ArrowLeft": (37, ""),
    "ArrowDown": (40, ""),
}
