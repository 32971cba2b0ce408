"""Pages whose questions are answered late, and not in the order in which they were asked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlparse

import pytest
from playwright.sync_api import Page, Request, Route, expect
from shown_address import asked

ProjectSite = Any  # of conftest.py, which cannot be imported by name
pytestmark = pytest.mark.xdist_group("web pages")
TWO_FRAMES = "new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)))"
SEARCH = "**/api/v1/models/search"
EVENTS = "**/api/v1/events*"


@contextmanager
def held(page: Page, asked_for: str) -> Iterator[list[Route]]:
    """Searches of models for this that are not sent on; they go, and are answered, at the end."""
    kept: list[Route] = []
    page.route(
        SEARCH, lambda route: kept.append(route) if asked_for in (route.request.post_data or "") else route.continue_()
    )
    yield kept
    let_go(page, kept)


def let_go(page: Page, kept: list[Route]) -> None:
    """Have what was held answered, and the page draw what it makes of it."""
    for route in kept:
        with page.expect_response(lambda response, route=route: response.request == route.request) as answer:
            route.continue_()
        answer.value.finished()
    page.evaluate(TWO_FRAMES)


def test_the_answer_to_an_earlier_search_is_not_shown_when_it_comes_later(projects: ProjectSite, page: Page) -> None:
    projects.open(page, "/models")
    name, rows = page.get_by_label("Name", exact=True), page.locator("main tbody th a")
    with held(page, "no model is called so") as kept:
        name.fill("no model is called so")
        with page.expect_request(SEARCH):
            name.press("Enter")
        name.fill(projects.project.model)
        name.press("Enter")
        expect(rows).to_have_text([projects.project.model])
    assert len(kept) == 1
    expect(rows).to_have_text([projects.project.model])


def test_a_count_is_chosen_and_given_up_before_either_is_answered(projects: ProjectSite, page: Page) -> None:
    projects.open(page, "/models?text=delay")
    xgboost = page.get_by_role("button", name="xgboost 1")
    with held(page, "delay") as kept:
        for pressed in ("true", "false", "true"):
            xgboost.click()
            expect(xgboost).to_have_attribute("aria-pressed", pressed)
            assert ("flavor" in asked(page)) == (pressed == "true")
    assert len(kept) == 3
    expect(xgboost).to_have_attribute("aria-pressed", "true")


def test_what_somebody_types_stays_when_the_list_changes_meanwhile(projects: ProjectSite, page: Page) -> None:
    projects.open(page, "/models")
    name, tag = page.get_by_label("Name", exact=True), page.get_by_label("Tag", exact=True)
    name.fill("half a na")
    tag.fill("team=")
    with projects.platform.client("alice") as alice:
        alice.models.create("came-meanwhile", "while somebody typed")
    expect(page.get_by_role("link", name="came-meanwhile")).to_be_visible()
    expect(name).to_have_value("half a na")
    expect(tag).to_have_value("team=")


HOLD_WRONG = """() => {
  const quick = window.fetch;
  window.fetch = async (path, asked) => {
    const answer = await quick(path, asked);
    if (asked.headers.Authorization.endsWith("wrong")) await new Promise((go) => { window.letGo = go; });
    return answer;
  };
}"""


def test_the_answer_to_an_earlier_token_takes_nothing_away(projects: ProjectSite, page: Page) -> None:
    page.goto(f"{projects.platform.url}/models")
    expect(page.get_by_role("alert")).to_contain_text("Give a token to look")
    page.evaluate(HOLD_WRONG)
    token = page.get_by_label("Token")
    token.fill("wrong")
    with page.expect_response("**/api/v1/me"):
        token.press("Enter")
    token.fill(projects.token)
    token.press("Enter")
    expect(page.get_by_role("link", name=projects.project.model)).to_be_visible()
    page.evaluate("window.letGo()")
    page.evaluate(TWO_FRAMES)
    expect(token).to_be_hidden()
    expect(page.get_by_role("alert")).to_be_hidden()


def test_what_happens_while_a_page_is_asked_for_is_on_it(projects: ProjectSite, page: Page) -> None:
    with projects.platform.client("alice") as alice:
        alice.models.create("changed-meanwhile", "as it was")
        answered: list[Route] = []

        def after_the_answer(route: Route) -> None:
            answer = route.fetch()
            if not answered:
                alice.models.update("changed-meanwhile", description="as it is")
            answered.append(route)
            route.fulfill(response=answer)

        page.route(re.compile("/api/v1/models/changed-meanwhile([?]|$)"), after_the_answer)
        projects.open(page, "/models/changed-meanwhile")
    expect(page.locator("main")).to_contain_text("as it is")
    page.unroute_all(behavior="wait")


def test_what_a_page_asks_for_after_an_event_covers_the_event(projects: ProjectSite, page: Page) -> None:
    with projects.platform.client("alice") as alice:
        alice.models.create("asked-again")
        projects.open(page, "/models/asked-again")
        covers: list[int] = []

        def note(request: Request) -> None:
            if "/api/v1/models/asked-again?" in request.url:
                covers.append(int(parse_qs(urlparse(request.url).query)["at_least"][0]))

        page.on("request", note)
        alice.models.update("asked-again", description="now described")
        told = alice.audit.events(type="registry.ModelUpdated")[-1].position
    expect(page.locator("main")).to_contain_text("now described")
    assert covers
    assert covers[-1] >= told


def test_the_bar_stays_where_the_log_went_on_meanwhile(projects: ProjectSite, page: Page) -> None:
    kept: list[Route] = []
    page.route(re.compile("/api/v1/events[?]limit=1&newest_first=true&as_of="), lambda route: kept.append(route))
    page.goto(f"{projects.platform.url}/models#token={projects.token}")
    projects.wait(page)
    with projects.platform.client("alice") as alice:
        alice.models.create("went-on")
        head = alice.audit.head()
    expect(page.locator("#words")).to_contain_text(f"Now, {head}")
    let_go(page, kept)
    assert len(kept) == 1
    expect(page.locator("#words")).to_contain_text(f"Now, {head}")


def test_a_page_that_is_opened_while_the_event_log_is_away_goes_on_from_where_it_is(
    projects: ProjectSite, page: Page
) -> None:
    followed: list[str] = []
    page.on("request", lambda request: followed.append(request.url) if "/events/stream" in request.url else None)
    page.route(EVENTS, lambda route: route.fulfill(status=503, json={"detail": "lineage is away"}))
    projects.open(page, "/models")
    expect(page.locator("#trouble")).to_contain_text("The event log is away")
    expect(page.get_by_role("link", name=projects.project.model)).to_be_visible()
    with projects.platform.client("alice") as alice:
        alice.models.create("came-while-it-was-away", "nobody was told")
        head = max(event.position for event in alice.audit.events())
    page.unroute(EVENTS)
    expect(page.get_by_role("link", name="came-while-it-was-away")).to_be_visible()
    expect(page.locator("#trouble")).to_be_hidden()
    with projects.platform.client("alice") as alice:
        alice.models.create("came-afterwards", "it follows again")
    expect(page.get_by_role("link", name="came-afterwards")).to_be_visible()
    assert min(int(parse_qs(urlparse(url).query)["after"][0]) for url in followed) >= head
