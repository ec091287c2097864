"""A headless Chromium that a test or the taker of pictures drives, by the DevTools protocol.

It reaches 127.0.0.1 and nothing else, and leaves no profile behind.  Seconds and CSS pixels.
Source: chromedevtools.github.io/devtools-protocol, domains Page, Runtime and Input.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import requests
from websockets.sync.client import connect

NAMES = ("chromium", "chromium-browser", "google-chrome")
START_WAIT_S = 30.0
ANSWER_S = 30.0
LOOK_EVERY_S = 0.2
MAX_MESSAGE_BYTES = 64 * 1024 * 1024
SWITCHES = (
    "--headless=new",
    "--remote-debugging-port=0",
    "--remote-debugging-address=127.0.0.1",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--no-proxy-server",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--force-device-scale-factor=1",
    "--hide-scrollbars",
)


def chromium() -> str | None:
    """The browser's program; None where this machine has none."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class PageNotAsExpected(AssertionError):
    """What was waited for did not come; the text has what the page shows instead."""


class Browser:
    """One tab, from `with` to its end."""

    def __init__(self, width: int = 1400, height: int = 900) -> None:
        self._size = (width, height)
        self._said = 0
        self._stack = ExitStack()
        self._pause = threading.Event()  # never set: only a wait

    def __enter__(self) -> Self:
        program = chromium()
        if program is None:
            raise FileNotFoundError(f"no browser: none of {', '.join(NAMES)} is on the PATH")
        self._profile = Path(tempfile.mkdtemp(prefix="chromium-"))
        root = ["--no-sandbox"] if os.geteuid() == 0 else []
        width, height = self._size
        self._process = subprocess.Popen(
            [
                *(program, *SWITCHES, *root, f"--user-data-dir={self._profile}"),
                *(f"--window-size={width},{height}", "about:blank"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            self._open_tab()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _open_tab(self) -> None:
        port = self._until(self._port, START_WAIT_S, "the browser's port")
        tabs = requests.get(f"http://127.0.0.1:{port}/json/list", timeout=ANSWER_S).json()
        address = next(tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page")
        tab = connect(address, max_size=MAX_MESSAGE_BYTES, proxy=None)
        self._tab = self._stack.enter_context(tab)
        width, height = self._size
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self._do("Emulation.setDeviceMetricsOverride", **size)
        self._do("Page.enable")

    def __exit__(self, *_: object) -> None:
        self._stack.close()
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(timeout=ANSWER_S)
        shutil.rmtree(self._profile, ignore_errors=True)

    def _port(self) -> str | None:
        file = self._profile / "DevToolsActivePort"
        return file.read_text().splitlines()[0] if file.exists() and file.stat().st_size else None

    # what a person does

    def go(self, url: str) -> None:
        """Open a page; what it shows comes later: wait for it."""
        self._do("Page.navigate", url=url)

    def text(self) -> str:
        """What a person can read on the page."""
        return str(self.evaluate("document.body ? document.body.innerText : ''"))

    def wait_for(self, *words: str, wait_s: float = 60.0) -> str:
        """The page's text once all the words are on it.  Raises PageNotAsExpected."""
        found: list[str] = [""]

        def is_there() -> bool:
            found[0] = self.text()
            return all(one in found[0] for one in words)

        self._until(is_there, wait_s, f"{words} on the page", lambda: found[0])
        return found[0]

    def click(self, words: str) -> None:
        """Click what shows exactly these words, the innermost."""
        self._with_element(words, "click()")

    def scroll_to(self, words: str) -> None:
        """Bring what shows exactly these words to the top."""
        self._with_element(words, "scrollIntoView()")

    def _with_element(self, words: str, call: str) -> None:
        script = """(words => {
          const all = [...document.querySelectorAll('a, button, div, span')].filter(
            one => one.innerText && one.innerText.trim() === words && one.offsetParent);
          if (all.length) all[all.length - 1].CALL;
          return all.length > 0; })(WORDS)"""
        script = script.replace("CALL", call).replace("WORDS", json.dumps(words))
        if self.evaluate(script) is not True:
            raise PageNotAsExpected(f"nothing shows {words!r}:\n{self.text()}")

    def evaluate(self, script: str) -> Any:
        """The value of a JavaScript expression."""
        answer = self._do("Runtime.evaluate", expression=script, returnByValue=True)
        if "exceptionDetails" in answer:
            raise PageNotAsExpected(f"the page's script failed: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def picture(self) -> bytes:
        """The window as it looks now, PNG."""
        return base64.b64decode(self._do("Page.captureScreenshot", format="png")["data"])

    # how

    def _do(self, method: str, **params: Any) -> dict[str, Any]:
        self._said += 1
        self._tab.send(json.dumps({"id": self._said, "method": method, "params": params}))
        while True:
            answer = json.loads(self._tab.recv(timeout=ANSWER_S))
            if answer.get("id") != self._said:
                continue
            if "error" in answer:
                raise PageNotAsExpected(f"{method}: {answer['error']['message']}")
            result: dict[str, Any] = answer["result"]
            return result

    def _until(
        self,
        condition: Callable[[], Any],
        wait_s: float,
        what: str,
        instead: Callable[[], str] = str,
    ) -> Any:
        deadline = time.monotonic() + wait_s
        while not (found := condition()):
            if time.monotonic() > deadline:
                raise PageNotAsExpected(f"not within {wait_s:.0f} s: {what}\n{instead()}")
            self._pause.wait(LOOK_EVERY_S)
        return found
