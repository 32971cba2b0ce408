"""The page of a deployment: its release with the evidence as it grew, and a rollback that asks first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from modelog.inference import predict
from modelog.types.serving import Breaker, Retries
from playwright.sync_api import Page, expect
from small_platform import SmallPlatform
from toy_model import FEATURES, SIGNATURE, fitted

pytestmark = pytest.mark.xdist_group("web pages")


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A platform with a canary that has just begun."""
    folder = tmp_path_factory.mktemp("released")
    platform = SmallPlatform(folder)
    platform.start()
    with platform.client("alice") as alice:
        artifact = alice.artifacts.upload(fitted(folder))
        alice.models.create("late")
        for _ in range(2):
            alice.models.register("late", artifact, flavor="xgboost", signature=SIGNATURE)
        alice.deployments.create("canaried", "late", "1.0.0", "dev")
        alice.releases.start("canaried", "1.1.0", steps=[10, 100], error_margin=0.01, reason="newer")
    yield platform
    platform.stop()


def test_a_release_is_shown_and_undone_when_somebody_says_so_twice(released: Any, page: Page) -> None:
    page.goto(f"{released.url}/deployments/canaried#token={released.token('alice', 'developer')}")
    section = page.get_by_role("region", name="Releases")
    expect(section).to_contain_text("1.1.0 in place of 1.0.0 running")
    expect(section).to_contain_text("1 of 2, 10 %")
    expect(section.get_by_role("group", name="What was known when")).to_contain_text("started")
    took = page.get_by_role("region", name="Latencies")
    expect(took).to_contain_text("Nothing was asked over gRPC or REST in 60 minutes.")
    with released.client("alice") as alice:
        for _ in range(5):
            predict(alice, "canaried", [dict.fromkeys(FEATURES, 0.5)])
    page.reload()
    expect(took.get_by_role("img", name="Latencies of 1.")).not_to_have_count(0)
    answers = took.get_by_role("group", name="Answers of 60 minutes")
    expect(answers).to_contain_text("p99")
    took.get_by_text("As a table").first.click()
    expect(took.get_by_role("group", name="Latencies of 1.").first).to_contain_text("Up to")
    fails = page.get_by_role("region", name="When a version fails")
    expect(fails).to_contain_text("Its error is the answer.")
    with released.client("alice") as alice:
        alice.deployments.set_resilience(
            "canaried", breaker=Breaker(open_s=7), retries=Retries(), fallback_version="1.0.0",
            default_answer={"late": [0.25]},
        )  # fmt: skip
    expect(fails).to_contain_text("opens for 7 s when 50 % of 20 or more requests in 30 s failed")
    expect(fails).to_contain_text("late 0.25")
    expect(fails.get_by_role("row", name="1.0.0 closed")).to_be_visible()
    assert Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"] == []
    page.get_by_role("button", name="Roll back canaried", exact=True).click()
    asked = page.get_by_role("dialog")
    expect(asked).to_contain_text("All requests are answered by the earlier version at once.")
    asked.get_by_label("Why").fill("complaints")
    asked.locator("button.does").click()
    expect(page.locator("#told")).to_have_text("1.0.0 answers all requests of canaried.")
    expect(section).to_contain_text("rolled back by alice: complaints")

    page.goto("about:blank")
    page.goto(f"{released.url}/deployments/canaried#token={released.token('carol', 'viewer')}")
    expect(section).to_contain_text("rolled back")
    expect(page.get_by_role("button", name="Roll back canaried", exact=True)).to_have_count(0)
