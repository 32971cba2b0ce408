"""The address of a page as the page itself knows it; Playwright hears of a change a moment later."""

from __future__ import annotations

from urllib.parse import parse_qs, urlparse

from playwright.sync_api import Page


def address(page: Page) -> str:
    return str(page.evaluate("location.href"))


def asked(page: Page) -> dict[str, list[str]]:
    """The fields of its query."""
    return parse_qs(urlparse(address(page)).query)
