"""The page of a challenger: the bounds of its canary are drawn as they close in, as of any moment, and pass axe."""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from modelog_monitoring.retraining.events import CanaryDecided, CanaryVerdict, RetrainingRefused
from playwright.sync_api import Page, expect
from written_canary import AT, begun, looked, write

ProjectSite = Any  # of conftest.py, which cannot be imported by name
pytestmark = pytest.mark.xdist_group("web pages")
ID, REASON = "r-web", "worse on 150 rows that it answered as a canary"


@pytest.fixture(scope="module")
def canary(projects: ProjectSite) -> ProjectSite:
    """A canary that was looked at twice."""
    events = [*begun(ID, projects.project.model, "late-flights"), looked(ID, 1), looked(ID, 2)]
    write(projects.platform.folder, ID, events)
    return projects


def test_the_bounds_are_drawn_and_what_happens_appears(canary: ProjectSite, page: Page) -> None:
    canary.open(page, "/")
    page.get_by_role("region", name="Challengers").locator(f"a[href='/retrainings/{ID}']").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("1.1.0")
    expect(page.get_by_role("heading", level=1)).to_contain_text("canary")
    region = page.get_by_role("region", name="Canary")
    expect(region.get_by_role("img", name="Gain in Brier score")).to_be_visible()
    expect(region.locator("figure canvas")).to_have_count(1)
    expect(region).to_contain_text("0.008 after 100 rows, interval -0.042 to 0.058")
    expect(region).to_contain_text("10 % of the traffic, 500 labelled rows at most")
    page.get_by_text("As a table").click()
    expect(region.locator("tbody tr")).to_have_count(2)
    expect(region.locator("tbody tr").first).to_contain_text("undecided")
    assert Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"] == []
    last = looked(ID, 3, CanaryVerdict.WORSE)
    write(canary.platform.folder, ID, [last, CanaryDecided(ID, False, REASON, AT), RetrainingRefused(ID, REASON, AT)])
    expect(page.get_by_role("heading", level=1)).to_contain_text("refused")
    expect(page.locator("main")).to_contain_text(REASON)
    expect(region).to_contain_text("after 150 rows")


def test_the_past_shows_the_evidence_of_then(canary: ProjectSite, page: Page) -> None:
    with canary.platform.client("alice") as alice:
        first = alice.monitors.canary_looks(ID)[0]
    canary.open(page, f"/retrainings/{ID}?as_of={first.position}")
    expect(page.get_by_role("heading", level=1)).to_contain_text("canary")
    expect(page.get_by_role("region", name="Canary")).to_contain_text("0.008 after 50 rows, interval -0.092 to 0.108")
