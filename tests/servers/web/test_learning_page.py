"""A deployment that learns, on its page: how it is set, what it became, and the curve of its errors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from learning_river import deployed, lived
from modelog_platform.parts.broker import bootstrap_of, start_broker
from modelog_platform.parts.ports import free_port
from playwright.sync_api import Page, expect
from small_platform import SmallPlatform

pytestmark = pytest.mark.xdist_group("web pages")


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A platform with a deployment of a river model, and a broker for what becomes of its predictions."""
    folder, port = tmp_path_factory.mktemp("taught"), free_port()
    broker = start_broker(port)
    platform = SmallPlatform(folder, kafka_bootstrap=bootstrap_of(port))
    platform.start()
    with platform.client("alice") as alice, platform.client("bob") as bob:
        deployed(alice, bob, "season", folder)
    yield platform
    platform.stop()
    broker.kill()
    broker.wait()


def test_what_a_deployment_learns_comes_by_itself(taught: Any, page: Page) -> None:
    page.goto(f"{taught.url}/deployments/season#token={taught.token('carol', 'viewer')}")
    learning = page.get_by_role("region", name="Learning")
    expect(learning).to_contain_text("It answers as its versions were registered.")
    with taught.client("alice") as alice:
        begun = alice.learning.set("season", "on", reason="summer", step_labels=100, step_s=3600)
        expect(learning).to_contain_text("100 labels, or after 3600 s")
        lived(alice, "season", range(300))
    learned = learning.get_by_role("group", name="What was learned").locator("tbody tr")
    expect(learned).to_contain_text("300")
    expect(learning).to_contain_text("Progressive error of 1.0.0")
    learning.locator("figure").scroll_into_view_if_needed()
    expect(learning.locator("figure canvas")).to_have_count(1)
    learning.get_by_text("As a table").click()
    expect(learning.get_by_role("group", name="figures").locator("tbody tr")).to_have_count(3)
    page.set_viewport_size({"width": 360, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"] == []
    page.goto(f"{taught.url}/deployments/season?as_of={begun.position}")
    expect(learning).to_contain_text("Nothing yet.")
