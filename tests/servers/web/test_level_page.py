"""The service levels on a model's page: attainment, budget and alert of traffic that is held against targets."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from modelog.governance import SlaTargets
from modelog.inference import predict
from modelog_platform.parts.broker import bootstrap_of, start_broker
from modelog_platform.parts.ports import free_port
from playwright.sync_api import Page, expect
from small_platform import SmallPlatform
from toy_model import FEATURES, deployed

pytestmark = pytest.mark.xdist_group("web pages")
PATIENCE_S = 150


@pytest.fixture(scope="module")
def promised(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A platform whose model promises what nobody can keep, with windows of traffic of a second."""
    folder, port = tmp_path_factory.mktemp("promised"), free_port()
    broker = start_broker(port)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODELOG_SERVING_TRAFFIC_WINDOW_S", "1")
        platform = SmallPlatform(folder, kafka_bootstrap=bootstrap_of(port))
        platform.start()
    with platform.client("alice") as alice, platform.client("bob") as bob:
        deployed(alice, bob, "flights", folder)
        alice.slas.set("flights", SlaTargets(latency_p99_ms=0.001, availability_percent=99.0))
    yield platform
    platform.stop()
    broker.kill()
    broker.wait()


def test_levels_stand_beside_the_targets_and_come_by_themselves(promised: Any, page: Page) -> None:
    page.goto(f"{promised.url}/models/flights#token={promised.token('carol', 'viewer')}")
    levels = page.get_by_role("region", name="Service levels")
    expect(levels).to_contain_text("No traffic was held against targets yet.")
    with promised.client("alice") as alice:
        deadline = time.monotonic() + PATIENCE_S
        while not any(level.alerts for level in alice.levels.list("flights")):
            predict(alice, "flights", [dict.fromkeys(FEATURES, 0.5)])
            assert time.monotonic() < deadline, f"no alert in {PATIENCE_S} s"
    rows = levels.locator("tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.filter(has_text="99 % answered")).to_contain_text("none")
    slow = rows.filter(has_text="99 of 100 in 0.001 ms")
    expect(slow).to_contain_text("page")
    expect(slow).to_contain_text("misses its target of the latency of 99 of 100 answers")
    expect(levels.locator("figure canvas")).to_have_count(1)
    levels.get_by_text("As a table").click()
    expect(levels.get_by_role("group", name="figures")).to_be_visible()
    page.set_viewport_size({"width": 360, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"] == []


def test_what_became_of_a_versions_trial_stands_on_its_page(promised: Any, page: Page) -> None:
    with promised.client("alice") as alice:
        alice.trials.wait("flights", "1.0.0", timeout_s=3 * PATIENCE_S)
        first = alice.audit.events(type="serving.VersionTried")[0].position
    page.goto(f"{promised.url}/models/flights?version=1.0.0#token={promised.token('carol', 'viewer')}")
    trial = page.get_by_role("region", name="Trial of 1.0.0")
    expect(trial).to_contain_text("works")
    expect(trial).to_contain_text("compiled trees")
    expect(trial).to_contain_text("1,024 rows")
    expect(trial).to_contain_text("of 0.000001 allowed")
    trial.get_by_text("packages").click()
    expect(trial.get_by_role("group", name="Packages of the trial")).to_contain_text("xgboost-cpu")
    page.set_viewport_size({"width": 360, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.goto(f"{promised.url}/models/flights?version=1.0.0&as_of={first - 1}")
    expect(trial).to_contain_text("not tried yet")


def test_a_version_is_tried_again_when_somebody_says_why(promised: Any, page: Page) -> None:
    with promised.client("alice") as alice:
        alice.trials.wait("flights", "1.0.0", timeout_s=3 * PATIENCE_S)
        page.goto(f"{promised.url}/models/flights?version=1.0.0#token={promised.token('alice', 'admin')}")
        trial = page.get_by_role("region", name="Trial of 1.0.0")
        trial.get_by_role("button", name="Try again 1.0.0").click()
        asked = page.get_by_role("dialog")
        asked.get_by_label("Why").fill("the machine was out of memory")
        asked.get_by_role("button", name="Try again").click()
        expect(page.locator("#told")).to_have_text("1.0.0 is tried again.")
        [event] = alice.audit.events(type="serving.TrialAsked")
        assert (event.actor, event.payload["version"], event.payload["reason"]) == (
            "alice",
            "1.0.0",
            "the machine was out of memory",
        )
    page.goto("about:blank")
    page.goto(f"{promised.url}/models/flights?version=1.0.0#token={promised.token('carol', 'viewer')}")
    expect(trial).to_contain_text("compiled trees")
    expect(trial.get_by_role("button", name="Try again 1.0.0")).to_have_count(0)
