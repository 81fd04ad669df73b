"""Chromium without a window, driven over its DevTools protocol: as much of it as the tests need.

Source: https://chromedevtools.github.io/devtools-protocol/.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import websocket

from tests.fix_browser import find_chromium

_PATIENCE = 20.0  # seconds, for whatever fails otherwise
_PAUSE = 0.02
_FLAGS = (
    "--headless=new",
    "--remote-debugging-port=0",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-background-networking",
    "--no-first-run",
    "--hide-scrollbars",
)
# What the keys that are pressed are called; text is what they write.
_KEYS = {
    "Tab": (9, ""),
    "Enter": (13, "\r"),
    " ": (32, " "),
    "ArrowLeft": (37, ""),
    "ArrowRight": (39, ""),
    "Home": (36, ""),
    "End": (35, ""),
}


class PageFailed(Exception):
    """The page, or the browser, does not do what it was asked."""


@contextmanager
def running(profile: Path) -> Iterator[Chromium]:
    """Run a Chromium with a profile of its own, which is a new directory."""
    command = find_chromium()
    assert command is not None
    as_root = ["--no-sandbox"] if os.geteuid() == 0 else []
    with subprocess.Popen(
        [command, *_FLAGS, *as_root, f"--user-data-dir={profile}", "about:blank"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            yield Chromium(_port(profile, process))
        finally:
            process.terminate()
            try:
                process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()


def _port(profile: Path, process: subprocess.Popen[bytes]) -> int:
    told, deadline = profile / "DevToolsActivePort", time.monotonic() + 3 * _PATIENCE
    while not (told.exists() and told.read_text().count("\n")):
        if process.poll() is not None or time.monotonic() > deadline:
            raise PageFailed("Chromium does not start")
        time.sleep(_PAUSE)
    return int(told.read_text().split("\n")[0])


class Chromium:
    """A browser that listens on a port of its own choice."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/json"

    @contextmanager
    def page(self) -> Iterator[Page]:
        """Open a tab for the length of a block."""
        with urlopen(Request(f"{self._url}/new?about:blank", method="PUT"), timeout=_PATIENCE) as answer:
            target = json.load(answer)
        page = Page(target["webSocketDebuggerUrl"])
        try:
            yield page
        finally:
            page.close()
            with urlopen(f"{self._url}/close/{target['id']}", timeout=_PATIENCE) as answer:
                answer.read()


class Page:
    """A tab: what it was made to do, what it complained about, and what it asked for."""

    def __init__(self, address: str) -> None:
        self._socket = websocket.create_connection(address, timeout=_PATIENCE, suppress_origin=True)
        self._number = 0
        self.complaints: list[str] = []
        self.requested: list[str] = []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.view(1280, 800)

    def close(self) -> None:
        """Let go of the tab."""
        self._socket.close()

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol; return its result."""
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv())
            if message.get("id") == self._number:
                if "error" in message:
                    raise PageFailed(f"{method}: {message['error']['message']}")
                result: dict[str, Any] = message["result"]
                return result
            self._note(message.get("method"), message.get("params", {}))

    def _note(self, event: str | None, about: dict[str, Any]) -> None:
        if event == "Network.requestWillBeSent":
            self.requested.append(about["request"]["url"])
        elif event == "Runtime.exceptionThrown":
            self.complaints.append(about["exceptionDetails"].get("exception", {}).get("description", "an exception"))
        elif event == "Log.entryAdded" and about["entry"]["level"] in ("error", "warning"):
            self.complaints.append(f"{about['entry']['text']} {about['entry'].get('url', '')}")
        elif event == "Runtime.consoleAPICalled" and about["type"] in ("error", "warning", "assert"):
            self.complaints.append(json.dumps(about["args"]))
        elif event == "Page.javascriptDialogOpening":
            self.complaints.append(f"a dialog: {about['message']}")
            self._socket.send(
                json.dumps({"id": 0, "method": "Page.handleJavaScriptDialog", "params": {"accept": True}})
            )

    def evaluate(self, expression: str) -> Any:
        """Return the value of a JavaScript expression, awaited if it can be."""
        answer = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise PageFailed(answer["exceptionDetails"].get("exception", {}).get("description", "an exception"))
        return answer["result"].get("value")

    def wait_for(self, expression: str) -> None:
        """Wait until an expression is true."""
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                is_true = self.evaluate(f"!!({expression})")
            except PageFailed:  # on its way to another page
                is_true = False
            if is_true:
                return
            if time.monotonic() > deadline:
                raise PageFailed(f"waited in vain for: {expression}\n{self.evaluate('document.body.innerText')}")
            time.sleep(_PAUSE)

    def open(self, url: str) -> None:
        """Go to an address, and wait until all is there."""
        self.evaluate("window.isOld = true")
        result = self.call("Page.navigate", url=url)
        if "errorText" in result:
            raise PageFailed(f"{url}: {result['errorText']}")
        self.arrive()

    def arrive(self) -> None:
        """Wait for the next page; `leave` or `open` came before."""
        self.wait_for("!window.isOld && document.readyState === 'complete'")

    def leaving(self) -> None:
        """Mark this page as one to be left, so that `arrive` can tell the next."""
        self.evaluate("window.isOld = true")

    def click(self, selector: str) -> None:
        """Press the mouse on the middle of an element."""
        place = self.evaluate(
            f"(() => {{ const found = document.querySelector({json.dumps(selector)}); found.scrollIntoView({{block: "
            "'center'}); const box = found.getBoundingClientRect(); return [box.x + box.width / 2, "
            "box.y + box.height / 2]; })()"
        )
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            button = {} if kind == "mouseMoved" else {"button": "left", "clickCount": 1}
            self.call("Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1], **button)

    def hover(self, selector: str, share: float) -> None:
        """Move the mouse over an element, a share of its width from the left."""
        x, y = self.evaluate(
            f"(() => {{ const found = document.querySelector({json.dumps(selector)}); found.scrollIntoView({{block: "
            f"'center'}}); const box = found.getBoundingClientRect(); return [box.x + box.width * {share}, "
            "box.y + box.height / 2]; })()"
        )
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def press(self, key: str) -> None:
        """Press a key."""
        code, text = _KEYS[key]
        about = {"key": key, "code": "Space" if key == " " else key, "windowsVirtualKeyCode": code}
        self.call("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", text=text, **about)
        self.call("Input.dispatchKeyEvent", type="keyUp", **about)

    def write(self, text: str) -> None:
        """Write a text where the focus is."""
        self.call("Input.insertText", text=text)

    def tab_to(self, expression: str) -> None:
        """Press Tab until an expression is true of `document.activeElement`, called `at`."""
        for _ in range(200):
            self.press("Tab")
            if self.evaluate(f"!!(at => {expression})(document.activeElement)"):
                return
        raise PageFailed(f"Tab never comes to where {expression}")

    def view(self, width: int, height: int, *, dark: bool = False, phone: bool = False) -> None:
        """Give the page a size, in pixels, and a preference of its reader."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=2 if phone else 1,
            mobile=phone,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def save_picture(self, path: Path) -> None:
        """Save what the whole page looks like as PNG."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
        path.write_bytes(base64.b64decode(shot["data"]))
