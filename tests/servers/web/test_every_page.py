"""What every page keeps to: it passes axe by day and night, fits a phone, works by keyboard, and asks nobody else."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, quote, urlparse

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

ProjectSite = Any  # of conftest.py, which cannot be imported by name
pytestmark = pytest.mark.xdist_group("web pages")
PAGES = {
    "overview": "/",
    "models": "/models",
    "model": "/models/{model}",
    "hostile model": "/models/{markup}",
    "experiments": "/experiments",
    "experiment": "/experiments/{experiment}",
    "parallel": "/experiments/{experiment}?view=parallel",
    "run": "/runs/{run}",
    "hostile run": "/runs/{hostile}",
    "diff": "/diff?a={run}&b={second}",
    "compare runs": "/compare?run={run}&run={second}&run={failed}",
    "compare versions": "/compare?version={model}/1.0.0&version={model}/1.1.0",
    "datasets": "/datasets",
    "workspaces": "/workspaces",
    "dataset": "/datasets/flights",
    "deployment": "/deployments/late-flights",
    "A/B test": "/ab-tests/newer",
    "challenger": "/retrainings/r-project",
}
PHONE_PX = 360
# Words of up to twelve characters that are broken in the middle, because what they stand in is too narrow.
BROKEN_WORDS = r"""() => {
  const found = [], texts = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT);
  for (let text; text = texts.nextNode();) {
    for (const { 0: word, index } of text.data.matchAll(/(?<!\S)\S{2,12}(?!\S)/gu)) {
      const range = new Range();
      range.setStart(text, index);
      range.setEnd(text, index + word.length);
      if (new Set([...range.getClientRects()].map((place) => Math.round(place.top))).size > 1) found.push(word);
    }
  }
  return found;
}"""
TWO_FRAMES = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


def path_of(projects: ProjectSite, name: str) -> str:
    p = projects.project
    return PAGES[name].format(
        model=p.model, markup=quote(p.markup_model, safe=""), experiment=p.experiment, run=p.runs[0],
        second=p.runs[1], failed=p.runs[5], hostile=p.hostile,
    )  # fmt: skip


def violations(page: Page, *rules: str) -> list[str]:
    """What axe finds, a line each; by all of its rules when none are named."""
    page.evaluate(TWO_FRAMES)  # what is laid out anew has been
    options: dict[str, Any] = {"resultTypes": ["violations"], **({"runOnly": list(rules)} if rules else {})}
    found = Axe().run(page, options=options).response["violations"]
    return [f"{v['id']}: {node['html'][:200]} {node['failureSummary']}" for v in found for node in v["nodes"]]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_passes_axe_fits_a_phone_and_asks_nobody_else(projects: ProjectSite, page: Page, name: str) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    projects.open(page, path_of(projects, name))
    assert page.get_by_role("heading", level=1).count() == 1
    assert page.evaluate(BROKEN_WORDS) == []
    page.evaluate("document.querySelectorAll('main details').forEach((folded) => { folded.open = true; })")
    assert violations(page) == []
    page.emulate_media(color_scheme="dark")
    assert violations(page, "color-contrast") == []
    page.set_viewport_size({"width": PHONE_PX, "height": 740})
    page.evaluate("scrollTo(0, document.body.scrollHeight)")  # all plots are drawn
    page.evaluate(TWO_FRAMES)
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE_PX
    strangers = [url for url in asked if not url.startswith((projects.platform.url, "data:", "blob:"))]
    assert strangers == []
    assert page.evaluate("document.body.dataset.hacked") is None


@pytest.mark.parametrize("name", ["experiment", "compare runs"])
def test_a_page_works_with_the_keyboard_alone(projects: ProjectSite, page: Page, name: str) -> None:
    projects.open(page, path_of(projects, name))
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    reached = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        seen = page.evaluate(
            """() => {
            const at = document.activeElement, box = at.getBoundingClientRect(), style = getComputedStyle(at);
            return { name: at.tagName, inside: Boolean(at.closest("main")), outline: style.outlineStyle,
                     there: box.width > 0 && box.bottom > 0 && box.top < innerHeight }; }"""
        )
        if not seen["inside"]:
            break
        assert seen["outline"] != "none", seen
        assert seen["there"], seen
        reached.add(seen["name"])
    assert {"A", "SUMMARY"} & reached


@pytest.mark.parametrize("name", ["model", "experiment", "run", "diff", "compare versions"])
def test_a_page_of_the_past_asks_and_leads_into_the_past(projects: ProjectSite, page: Page, name: str) -> None:
    asked: list[str] = []
    with projects.platform.client("alice") as alice:
        position = alice.audit.head()
    page.on("request", lambda request: asked.append(f"{request.url} {request.post_data or ''}"))
    path = path_of(projects, name)
    projects.open(page, f"{path}{'&' if '?' in path else '?'}as_of={position}")
    expect(page.locator("#past")).to_contain_text("This is the past.")
    page.wait_for_load_state("networkidle")
    now = ("/api/v1/me", "/api/v1/events?limit=1")
    questions = [url for url in asked if "/api/v1/" in url and not url.strip().endswith(now)]
    assert questions
    for url in questions:
        assert f"as_of={position}" in url or f'"as_of":"{position}"' in url, url
    links = page.locator("main a:not([title]), nav a").evaluate_all("all => all.map((a) => a.href)")
    assert links
    for href in links:
        assert parse_qs(urlparse(href).query)["as_of"] == [str(position)], href


def test_who_has_no_token_is_asked_for_one_and_stays_on_the_page(projects: ProjectSite, page: Page) -> None:
    page.goto(f"{projects.platform.url}/runs/{projects.project.runs[0]}")
    expect(page.get_by_role("alert")).to_contain_text("Give a token to look: `modelog token` prints one.")
    page.get_by_label("Token").fill("not-a-token")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("the token is not a JWT signed with Ed25519")
    page.get_by_label("Token").fill(projects.token)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("depth-4-seed-0")
    expect(page.get_by_label("Token")).to_be_hidden()


@pytest.mark.parametrize("path", ["/runs/none", "/models/none", "/experiments/none", "/diff?a=none&b=none"])
def test_what_is_not_there_is_said_to_be_not_there(projects: ProjectSite, page: Page, path: str) -> None:
    projects.open(page, path)
    expect(page.get_by_role("alert")).to_contain_text("none")
    assert page.get_by_role("heading", level=1).count() == 1
