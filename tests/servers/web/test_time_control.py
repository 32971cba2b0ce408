"""The page's time control in a real browser: any moment can be seen, shared as a link, and told from the present."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlparse
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser, Page, Request, expect
from shown_address import address, asked

Site = Any  # of conftest.py, which cannot be imported by name
LIVE_ONLY = ("/api/v1/me", "/api/v1/events?limit=1")


def stage(page: Page) -> Any:
    return page.locator("#models .stage").first


def as_of(page: Page) -> str:
    return asked(page).get("as_of", [""])[0]


def expect_past(page: Page, position: int) -> None:
    expect(page.locator("#past")).to_be_visible()
    expect(page.locator("#past")).to_contain_text("This is the past.")
    expect(page.locator("#words")).to_contain_text(f"{position} of ")


def expect_now(page: Page) -> None:
    expect(page.locator("#past")).to_be_hidden()
    expect(page.locator("#words")).to_contain_text("Now")
    assert as_of(page) == ""


def test_a_link_opens_a_moment_and_says_that_it_is_the_past(site: Site, page: Page) -> None:
    position = site.positions["staging"]
    site.open(page, f"?as_of={position}")
    expect_past(page, position)
    expect(stage(page)).to_have_text("staging")
    expect(page.locator("#no-traffic")).to_be_visible()
    expect(page.locator("#no-services")).to_be_visible()
    expect(page.locator("#words")).to_contain_text("alice: version promoted")
    expect(page.locator("#events li").first).to_contain_text(str(position))
    expect(page).to_have_title(f"Modelog as of {position}")
    page.get_by_role("button", name="Back to now").click()
    expect_now(page)
    expect(stage(page)).to_have_text("production")
    expect(page.locator("#traffic")).to_contain_text("flights")
    expect(page.locator("#services")).to_contain_text("registry")


def test_every_panel_asks_as_of_the_moment(site: Site, page: Page) -> None:
    asked: list[str] = []

    def note(request: Request) -> None:
        if "/api/v1/" in request.url:
            asked.append(request.url.removeprefix(site.platform.url))

    page.on("request", note)
    position = site.positions["staging"]
    site.open(page, f"?as_of={position}")
    expect(stage(page)).to_have_text("staging")
    page.wait_for_load_state("networkidle")
    panels = [url for url in asked if url not in LIVE_ONLY]
    assert {urlparse(url).path.rpartition("/")[2] for url in panels} == {
        "models", "deployments", "retrainings", "monitors", "events",
    }  # fmt: skip
    for url in panels:
        assert f"as_of={position}" in url


def test_the_slider_goes_back_and_forth_by_keyboard(site: Site, page: Page) -> None:
    site.open(page)
    expect_now(page)
    slider = page.get_by_role("slider", name="Position in the log")
    slider.focus()
    last = int(slider.input_value())
    page.keyboard.press("ArrowLeft")
    expect_past(page, last - 1)
    assert as_of(page) == str(last - 1)
    page.keyboard.press("Home")
    expect(page.locator("#words")).to_contain_text("Before the first event.")
    expect(page.locator("#models")).to_contain_text("No version is registered yet.")
    assert "Before the first event" in str(slider.get_attribute("aria-valuetext"))
    page.keyboard.press("End")
    expect_now(page)
    expect(stage(page)).to_have_text("production")


def test_one_steps_from_event_to_event(site: Site, page: Page) -> None:
    position = site.positions["production"]
    site.open(page, f"?as_of={position}")
    expect(stage(page)).to_have_text("production")
    page.get_by_role("button", name="Previous event").click()
    expect_past(page, position - 1)
    expect(stage(page)).to_have_text("staging")
    page.get_by_role("button", name="Next event").click()
    expect_past(page, position)
    expect(stage(page)).to_have_text("production")
    page.get_by_role("button", name="Previous event").dblclick()
    expect_past(page, position - 2)
    expect(stage(page)).to_have_text("development")
    with site.platform.client("alice") as alice:
        head = alice.audit.head()
    for reached in range(position - 1, head):
        page.get_by_role("button", name="Next event").click()
        expect_past(page, reached)
    page.get_by_role("button", name="Next event").click()
    expect_now(page)
    expect(page.get_by_role("button", name="Next event")).to_be_disabled()


def test_the_browsers_back_and_forward_go_through_the_moments(site: Site, page: Page) -> None:
    site.open(page)
    field = page.get_by_label("Position", exact=True)
    for name in ("staging", "production"):
        field.fill(str(site.positions[name]))
        field.press("Enter")
        expect_past(page, site.positions[name])
    page.go_back()
    expect_past(page, site.positions["staging"])
    expect(stage(page)).to_have_text("staging")
    page.go_forward()
    expect(stage(page)).to_have_text("production")


def test_a_time_is_read_in_the_readers_own_zone(site: Site, page: Page) -> None:
    with site.platform.client("alice") as alice:
        at = alice.audit.events(after=site.positions["staging"] - 1, limit=1)[0].recorded_at
    site.open(page)
    before_all = at.astimezone(ZoneInfo("Europe/Berlin")).replace(year=at.year - 1)
    page.get_by_label("Time", exact=True).fill(before_all.strftime("%Y-%m-%dT%H:%M:%S"))
    page.get_by_role("button", name="Go").click()
    expect(page.locator("#words")).to_contain_text("Before the first event.")
    assert as_of(page) == before_all.astimezone(ZoneInfo("UTC")).strftime("%Y-%m-%dT%H:%M:%SZ")
    exact = at.isoformat().replace("+00:00", "Z")
    site.open(page, f"?as_of={exact}")
    expect_past(page, site.positions["staging"])
    expect(stage(page)).to_have_text("staging")


def test_nothing_is_live_in_the_past(site: Site, page: Page) -> None:
    page.clock.install()
    site.open(page, f"?as_of={site.positions['staging']}")
    expect(stage(page)).to_have_text("staging")
    page.wait_for_load_state("networkidle")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    with site.platform.client("alice") as alice:
        alice.models.create("made-in-between")
        head = alice.audit.head()
    page.clock.fast_forward(20_000)  # the live page asks for its services every 5 s
    expect(page.locator("#events li").first).to_contain_text(str(site.positions["staging"]))
    assert [url for url in asked if "/api/" in url] == []
    page.get_by_role("button", name="Back to now").click()
    expect(page.locator("#events")).to_contain_text("made-in-between")
    expect(page.locator("#words")).to_contain_text(f"Now, {head}")


def test_the_live_page_follows_what_happens(site: Site, page: Page) -> None:
    site.open(page)
    expect_now(page)
    with site.platform.client("alice") as alice:
        alice.models.create("made-while-watching")
        head = alice.audit.head()
    expect(page.locator("#events li").first).to_contain_text("made-while-watching")
    expect(page.locator("#words")).to_contain_text(f"Now, {head}")
    expect(page.get_by_role("slider", name="Position in the log")).to_have_value(str(head))


@pytest.mark.parametrize(
    ("moment", "text"), [("999999", "is in the future"), ("yesterday", "a position such as 1234 or an RFC 3339 time")]
)
def test_a_moment_that_cannot_be_says_why_and_lets_one_go_back(site: Site, page: Page, moment: str, text: str) -> None:
    token = site.platform.token("carol", "viewer")
    page.goto(f"{site.platform.url}/?as_of={moment}#token={token}")
    expect(page.get_by_role("alert")).to_contain_text(text)
    page.get_by_role("button", name="Back to now").click()
    expect_now(page)
    expect(page.get_by_role("alert")).to_be_hidden()


def test_all_of_it_works_with_the_keyboard_alone(site: Site, page: Page) -> None:
    site.open(page, f"?as_of={site.positions['staging']}")
    expect(stage(page)).to_have_text("staging")
    reached: list[str] = []
    for _ in range(24):  # the date and its parts take several
        page.keyboard.press("Tab")
        reached.append(str(page.evaluate("document.activeElement.id || document.activeElement.textContent")))
    wanted = ["live", "earlier", "slider", "later", "position", "clock", "Go"]
    assert [name for name in dict.fromkeys(reached) if name in wanted] == wanted
    page.locator("#live").focus()
    page.keyboard.press("Enter")
    expect_now(page)


@pytest.mark.parametrize("width", [320, 768])
def test_it_fits_a_phone_and_a_tablet(site: Site, chromium: Browser, width: int) -> None:
    with chromium.new_context(viewport={"width": width, "height": 640}, has_touch=True, is_mobile=True) as context:
        page = context.new_page()
        site.open(page, f"?as_of={site.positions['production']}")
        expect(stage(page)).to_have_text("production")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        for name in ("#earlier", "#slider", "#later", "#position", "#clock", "#live"):
            box = page.locator(name).bounding_box()
            assert box is not None
            assert 0 <= box["x"] < box["x"] + box["width"] <= width, name
            assert box["height"] >= 24, f"{name} is too small for a finger"
        page.locator("#earlier").tap()
        expect(stage(page)).to_have_text("staging")
        page.locator("#live").tap()
        expect_now(page)
        assert re.search(r"/$", address(page))
