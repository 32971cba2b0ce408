"""The page of an A/B test that runs: the confidence sequence is drawn, passes axe, and what happens appears."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from modelog.stream import StreamProducer
from modelog_platform.parts.broker import bootstrap_of, start_broker
from modelog_platform.parts.ports import free_port
from playwright.sync_api import Page, expect
from small_platform import SmallPlatform
from toy_model import FEATURES, SIGNATURE, fitted, toy_rows

pytestmark = pytest.mark.xdist_group("web pages")
ROWS = 600
MINUTE_US = 60_000_000
FIRST_US = 1_767_225_600_000_000  # 2026-01-01T00:00:00Z
PATIENCE_S = 150


@pytest.fixture(scope="module")
def tested(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A platform whose two versions of one model, of which neither is better, have been looked at."""
    folder, port = tmp_path_factory.mktemp("tested"), free_port()
    broker = start_broker(port)
    platform = SmallPlatform(folder, kafka_bootstrap=bootstrap_of(port))
    platform.start()
    with platform.client("alice") as alice:
        artifact = alice.artifacts.upload(fitted(folder))
        alice.models.create("late")
        for _ in range(2):
            alice.models.register("late", artifact, flavor="xgboost", signature=SIGNATURE)
        alice.deployments.create("halves", "late", "1.0.0", "dev")
        alice.deployments.set_traffic("halves", {"1.0.0": 50, "1.1.0": 50})
        alice.ab_tests.create("newer", "halves", "1.0.0", "1.1.0", min_effect=0.05, baseline=0.2)
        alice.ab_tests.start("newer")
        alice.ab_tests.create(
            "richer", "halves", "1.0.0", "1.1.0", metric="amount", higher_is_better=True, min_effect=5, sd=10,
            method="exact", lowest=0, highest=200, longest_s=86_400,
        )  # fmt: skip
        alice.ab_tests.start("richer")
        rows, stream = toy_rows(1, ROWS), StreamProducer(alice, "halves", bootstrap=bootstrap_of(port))
        times, end_us = FIRST_US + np.arange(ROWS) * MINUTE_US, FIRST_US + ROWS * MINUTE_US
        ids = [str(n) for n in range(ROWS)]
        stream.send_requests(ids, times, rows.select(FEATURES).to_numpy(), FEATURES, watermark_us=end_us)
        spent = np.minimum(np.random.default_rng(5).exponential(10, ROWS), 200)
        stream.send_outcomes(ids, rows["label"].to_numpy(), times, watermark_us=end_us, amounts=spent)
        stream.flush()
        deadline = time.monotonic() + PATIENCE_S
        while not counted(alice):
            assert time.monotonic() < deadline, f"the A/B test was not looked at in {PATIENCE_S} s"
            time.sleep(0.05)
    yield platform
    platform.stop()
    broker.kill()
    broker.wait()


def counted(alice: Any) -> bool:
    """Whether enough outcomes of both were counted for an interval."""
    latest = [alice.ab_tests.get(name).latest for name in ("newer", "richer")]
    return all(look is not None and look.low is not None for look in latest)


def test_the_sequence_is_drawn_and_what_happens_appears(tested: Any, page: Page) -> None:
    page.goto(f"{tested.url}/ab-tests/newer#token={tested.token('carol', 'viewer')}")
    expect(page.get_by_role("heading", level=1)).to_contain_text("running")
    expect(page.get_by_role("img", name="Mean of b minus mean of a")).to_be_visible()
    expect(page.locator("figure canvas")).to_have_count(1)
    page.get_by_text("As a table").click()
    expect(page.get_by_role("region", name="Difference").locator("tbody tr").first).to_contain_text("600")
    assert Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"] == []
    with tested.client("alice") as alice:
        alice.ab_tests.stop("newer", "seen enough")
    expect(page.get_by_role("heading", level=1)).to_contain_text("stopped")
    expect(page.locator("main")).to_contain_text("stopped by alice: seen enough")
    page.get_by_role("link", name="halves").click()
    expect(page.get_by_role("region", name="A/B tests").locator("tbody tr").first).to_contain_text("newer")


def test_a_test_of_amounts_says_its_range_and_its_end_and_its_sequence_is_drawn(tested: Any, page: Page) -> None:
    page.goto(f"{tested.url}/ab-tests/richer#token={tested.token('carol', 'viewer')}")
    expect(page.get_by_role("heading", level=1)).to_contain_text("running")
    expect(page.locator("figure canvas")).to_have_count(1)
    for name, text in (
        ("Method", "exact, from 0 to 200"),
        ("Compared", "amount"),
        ("Ends by", "20"),
        ("Mean of a", "not given, 10"),
    ):
        expect(page.locator("dl.facts div").filter(has=page.locator("dt", has_text=name))).to_contain_text(text)
    assert Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"] == []
