"""A real Chromium, and platforms whose pages it looks at."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from modelog_platform.servers.packages import apt_install
from playwright.sync_api import Browser, Page, expect, sync_playwright

sys.path.append(str(Path(__file__).parent))
sys.path.extend(str(Path(__file__).parents[2] / folder) for folder in ("integration/gateway", "e2e"))

from small_platform import SmallPlatform
from small_project import SmallProject, small_project
from toy_model import deployed
from written_canary import begun, looked, write

CHROMIUM = "/usr/bin/chromium"
# How long something may take to appear: longer than the busiest machine needs.
PATIENCE_MS = 150_000
expect.set_options(timeout=PATIENCE_MS)
# With it each answer to a page comes late, by up to so many milliseconds: no test may lean on their being quick.
LATE_MS = int(os.environ.get("MODELOG_TEST_LATE_ANSWERS_MS", "0"))
LATE_ANSWERS = """(most) => {
  const quick = window.fetch;
  window.fetch = async (...asked) => {
    const answer = await quick(...asked);
    await new Promise((go) => setTimeout(go, Math.random() * most));
    return answer;
  };
}"""


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """The browser; it is installed when it is not there, and what cannot be installed fails the tests.

    Not for the session: while it is open, Playwright's event loop runs in this thread, and no other test's could.
    """
    home = tmp_path_factory.mktemp("apt") / "chromium"
    apt_install(home, print, ["chromium"], lambda: shutil.which(CHROMIUM) is not None)
    with sync_playwright() as playwright:
        # Chromium does not start as root in its own sandbox; it only ever sees our page.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass
class Site:
    """A platform on which a model went from development to production."""

    platform: SmallPlatform
    positions: dict[str, int]

    def open(self, page: Page, query: str = "") -> None:
        """Open the page as somebody who may read everything; waits until it tells where it is."""
        token = self.platform.token("carol", "viewer")
        page.goto(f"{self.platform.url}/{query}#token={token}")
        page.locator("#words strong").wait_for()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    platform = SmallPlatform(folder)
    platform.start()
    with platform.client("alice") as alice, platform.client("bob") as bob:
        deployed(alice, bob, "flights", folder)
        events = {e.type: e.position for e in alice.audit.events()}  # of two of a type, the later one
        first = [e.position for e in alice.audit.events(type="registry.VersionPromoted")]
    yield Site(platform, {**events, "staging": first[0], "production": first[1]})
    platform.stop()


@dataclass
class ProjectSite:
    """A platform with a small project on it; tests may add to it, and take nothing away."""

    platform: SmallPlatform
    project: SmallProject
    token: str

    def open(self, page: Page, path: str) -> None:
        """Open a page as somebody who may read everything; waits until it shows what it is about."""
        page.goto(f"{self.platform.url}{path}#token={self.token}")
        self.wait(page)

    def wait(self, page: Page) -> None:
        page.locator("main[aria-busy=false]").wait_for()


@pytest.fixture(scope="session")
def projects(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProjectSite]:
    folder = tmp_path_factory.mktemp("projects")
    platform = SmallPlatform(folder)
    platform.start()
    with platform.client("alice") as alice, platform.client("bob") as bob:
        project = small_project(alice, bob, folder)
    tried = [*begun("r-project", project.model, "late-flights"), *(looked("r-project", n) for n in (1, 2, 3))]
    write(folder, "r-project", tried)
    yield ProjectSite(platform, project, platform.token("carol", "viewer"))
    platform.stop()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A page on a desktop that fails the test when its scripts fail."""
    with chromium.new_context(viewport={"width": 1280, "height": 900}, timezone_id="Europe/Berlin") as context:
        found = context.new_page()
        found.set_default_timeout(PATIENCE_MS)
        if LATE_MS:
            found.add_init_script(f"({LATE_ANSWERS})({LATE_MS})")
        errors: list[str] = []
        found.on("pageerror", lambda error: errors.append(str(error)))
        found.on("console", lambda told: errors.append(told.text) if "Content Security Policy" in told.text else None)
        yield found
        assert errors == []
