"""Windows of Chromium, used by one test after another: where the page was before, it is there in half the time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin, urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Error, Page, Request

SIZES = {"desktop": (1440, 900), "phone": (390, 844)}


@dataclass(eq=False)
class Window:
    """A window of its own: nobody else's storage. It is as good as blank, or shows the page to one test."""

    page: Page
    size: str
    address: str = ""
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    """What was said on the console, and errors that nobody caught."""
    unanswered: set[Request] = field(default_factory=set)
    listeners: dict[str, Callable[[Any], None]] = field(default_factory=dict)

    def open(self, address: str, scheme: str) -> Page:
        """Go to an address and listen to what happens there."""
        self.address, self.requests, self.complaints, self.unanswered = address, [], [], set()
        self.listeners = {
            "request": self._asked,
            "requestfinished": self._answered,
            "requestfailed": self._answered,
            "console": self._said,
            "pageerror": self._failed,
        }
        for event, listener in self.listeners.items():
            self.page.on(event, listener)  # type: ignore[call-overload]
        width, height = SIZES[self.size]
        self.page.set_viewport_size({"width": width, "height": height})
        self.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        self.page.goto(address)
        return self.page

    def leave(self) -> None:
        """Make it as good as blank, without a trace of what was stored or where the mouse was.

        It goes to a few words of the same server: then the next page has its process, and needs no new one.
        """
        for event, listener in self.listeners.items():
            self.page.remove_listener(event, listener)
        for other in self.page.context.pages:
            if other is not self.page:
                other.close()
        self.page.evaluate("localStorage.clear(), sessionStorage.clear()")
        self.page.context.clear_cookies()
        self.page.goto(urljoin(self.address, "theme.css"))
        self.page.mouse.move(-1, -1)

    def foreign_hosts(self) -> set[str]:
        """Whom the page asked beside its own server."""
        urls = [urlsplit(url) for url in self.requests]
        return {url.netloc for url in urls if url.scheme not in ("data", "blob")} - {urlsplit(self.address).netloc}

    def _asked(self, request: Request) -> None:
        self.requests.append(request.url)
        if "/heartbeat/" not in request.url:  # lasts as long as the page
            self.unanswered.add(request)

    def _answered(self, request: Request) -> None:
        self.unanswered.discard(request)

    def _failed(self, error: Error) -> None:
        self.complaints.append(str(error))

    def _said(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.complaints.append(message.text)


class Windows:
    """Windows of a browser that nobody uses now."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser
        self.free: list[Window] = []

    def take(self, size: str) -> Window:
        """A blank window of this size, new or used."""
        for window in self.free:
            if window.size == size:
                self.free.remove(window)
                return window
        touch = size == "phone"
        context = self.browser.new_context(has_touch=touch, is_mobile=touch)
        page = context.new_page()
        page.set_default_timeout(60_000)
        return Window(page, size)

    def give_back(self, window: Window) -> None:
        window.leave()
        self.free.append(window)
