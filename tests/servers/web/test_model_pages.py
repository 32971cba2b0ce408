"""The pages of models, datasets and deployments in a real browser, and the ways between them."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from shown_address import address
from small_project import MARKUP, RIGHT_TO_LEFT

ProjectSite = Any  # of conftest.py, which cannot be imported by name
pytestmark = pytest.mark.xdist_group("web pages")


def names(page: Page) -> list[str]:
    return page.locator("main tbody th a").all_inner_texts()


def test_models_are_searched_by_name_stage_and_tag(projects: ProjectSite, page: Page) -> None:
    projects.open(page, "/models")
    assert {projects.project.model, projects.project.markup_model, "עברית 🛫"} <= set(names(page))
    page.get_by_label("Name", exact=True).fill("DELAY")
    page.keyboard.press("Enter")
    expect(page.locator("main tbody th")).to_have_count(1)
    assert "text=DELAY" in address(page)
    page.get_by_label("Tag", exact=True).fill("team=sea")
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_contain_text("No model is like that.")
    projects.open(page, "/models?stage=production&tag=team%3Dair")
    assert names(page) == [projects.project.model]
    expect(page.get_by_label("Stage of a version")).to_have_value("production")
    expect(page.locator("main")).to_contain_text("champion → 1.0.0")


def test_models_are_searched_by_words(projects: ProjectSite, page: Page) -> None:
    projects.open(page, "/models")
    page.get_by_label("Words", exact=True).fill("late flight air")
    page.keyboard.press("Enter")
    expect(page.locator("main tbody th")).to_have_count(1)
    assert names(page) == [projects.project.model]
    assert "words=late+flight+air" in address(page)
    narrow = page.get_by_role("group", name="Narrow the search")
    expect(narrow.get_by_role("group", name="By framework")).to_have_text("Frameworkxgboost 1")
    page.get_by_label("Words", exact=True).fill("late nothing")
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_contain_text("No model is like that.")
    projects.open(page, "/models?words=delay")
    expect(page.get_by_label("Words", exact=True)).to_have_value("delay")
    assert names(page) == [projects.project.model]


def test_models_are_counted_and_the_search_narrowed_by_a_count(projects: ProjectSite, page: Page) -> None:
    projects.open(page, "/models?text=delay")
    narrow = page.get_by_role("group", name="Narrow the search")
    expect(narrow.get_by_role("group", name="By framework")).to_contain_text("xgboost 1")
    narrow.get_by_role("button", name="team: air 1").focus()
    page.keyboard.press("Enter")
    expect(narrow.get_by_role("button", name="team: air 1")).to_have_attribute("aria-pressed", "true")
    expect(narrow.get_by_role("button", name="team: air 1")).to_be_focused()
    assert "tag=team%3Dair" in address(page)
    expect(page.get_by_label("Tag", exact=True)).to_have_value("team=air")
    narrow.get_by_role("button", name="production 1").click()
    narrow.get_by_role("button", name="xgboost 1").click()
    expect(page.locator("main tbody th")).to_have_count(1)
    narrow.get_by_role("button", name="xgboost 1").click()
    expect(narrow.get_by_role("button", name="xgboost 1")).to_have_attribute("aria-pressed", "false")
    projects.open(page, "/models?flavor=nothing")
    expect(page.locator("main")).to_contain_text("No model is like that.")


def test_a_model_shows_versions_stages_decisions_and_where_it_came_from(projects: ProjectSite, page: Page) -> None:
    projects.open(page, "/models")
    page.get_by_role("link", name=projects.project.model).click()
    expect(page).to_have_title("delay-model · Modelog")
    assert address(page).endswith("/models/delay-model")
    versions = page.get_by_role("region", name="Versions")
    expect(versions.locator("tbody tr")).to_have_count(3)
    expect(versions.locator("tbody tr").last).to_contain_text("champion")
    expect(page.get_by_role("img", name=re.compile(r"1\.0\.0: development since .*production since"))).to_be_visible()
    version = page.get_by_role("region", name="Version 1.0.0")
    expect(version).to_contain_text("held against June's flights")
    expect(version).to_contain_text("[-1, 3]")
    decisions = page.get_by_role("region", name="Promotion decisions")
    expect(decisions.locator("tbody tr").first).to_contain_text(f"leaks the label {MARKUP}")
    promoted = decisions.locator("tbody tr", has_text="better than nothing")
    expect(promoted).to_contain_text("approved by bob")
    expect(page.get_by_role("region", name="Deployments")).to_contain_text("late-flights")
    promoted.get_by_role("link", name=str(projects.project.production)).click()
    expect(page.locator("#past")).to_be_visible()
    assert f"as_of={projects.project.production}" in address(page)


def test_a_model_shows_its_change_requests_and_its_card(projects: ProjectSite, page: Page) -> None:
    projects.open(page, "/models/delay-model?version=1.0.0")
    asked = page.get_by_role("region", name="Change requests")
    expect(asked.locator("tbody tr").first).to_contain_text(f"As good {MARKUP}")
    expect(asked.locator("tbody tr").first).to_contain_text("1.1.0 → staging")
    asked.locator("summary").click()
    expect(asked).to_contain_text(f"please look {RIGHT_TO_LEFT}")
    card = page.get_by_role("region", name="Model card of 1.0.0")
    expect(card).to_contain_text(f"Late or not {MARKUP}")
    expect(card).to_contain_text("only New York")
    for name in ("Save as HTML", "Save as Markdown", "Save the bill of materials"):
        with page.expect_download() as saved:
            card.get_by_role("button", name=name).click()
        assert saved.value.suggested_filename.startswith("delay-model-1.0.0-")
        assert "delay-model" in saved.value.path().read_text()
    expect(page.get_by_role("region", name="Signatures of 1.0.0")).to_contain_text("Nobody has signed this version.")
    expect(page.get_by_role("region", name="Retirements")).to_contain_text("No version of this model is to be retired.")


def test_one_walks_from_a_version_to_its_run_experiment_dataset_and_deployment(
    projects: ProjectSite, page: Page
) -> None:
    projects.open(page, "/models/delay-model?version=1.0.0")
    page.locator("#version").get_by_role("link", name=re.compile(projects.project.runs[0][:8])).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("depth-4-seed-0")
    page.get_by_role("link", name="delay-model 1.0.0").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("delay-model")
    page.go_back()
    page.get_by_role("link", name="flights 1").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("flights")
    expect(page.get_by_role("region", name="Version 1", exact=True)).to_contain_text("Float32")
    page.go_back()
    page.get_by_role("link", name="flight-delay", exact=True).click()
    expect(page.get_by_role("region", name="Runs")).to_contain_text("depth-6-seed-1")
    projects.open(page, "/models/delay-model")
    page.get_by_role("link", name="late-flights").click()
    expect(page.get_by_role("region", name="Traffic").locator("tbody")).to_contain_text("100 %")


def test_a_model_is_shown_as_it_was(projects: ProjectSite, page: Page) -> None:
    projects.open(page, f"/models/delay-model?as_of={projects.project.staging}")
    expect(page).to_have_title(f"delay-model · Modelog as of {projects.project.staging}")
    rows = page.get_by_role("region", name="Versions").locator("tbody tr")
    expect(rows.last).to_contain_text("staging")
    expect(page.get_by_role("region", name="Deployments")).to_contain_text("No version of this model is deployed.")
    expect(page.get_by_role("region", name="Promotion decisions")).not_to_contain_text("better than nothing")
    page.get_by_role("button", name="Back to now").click()
    expect(rows.last).to_contain_text("production")
    projects.open(page, "/models/delay-model?as_of=1")
    expect(page.get_by_role("alert")).to_contain_text("delay-model")
    expect(page.get_by_role("alert")).to_contain_text("It may have come later than the moment that is shown")
    page.get_by_role("button", name="Back to now").click()
    expect(rows.last).to_contain_text("production")


def test_a_new_version_appears_while_one_watches(projects: ProjectSite, page: Page) -> None:
    with projects.platform.client("alice") as alice:
        alice.models.create("watched")
        projects.open(page, "/models/watched")
        expect(page.get_by_role("region", name="Versions")).to_contain_text("No version is registered.")
        alice.models.update("watched", description="now described")
        expect(page.locator("main")).to_contain_text("now described")


def test_versions_are_chosen_and_compared(projects: ProjectSite, page: Page) -> None:
    projects.open(page, "/models/delay-model")
    button = page.get_by_role("button", name="Compare the chosen versions")
    expect(button).to_be_disabled()
    page.get_by_label("Choose 1.0.0").check()
    page.get_by_label("Choose 1.1.0").check()
    button.click()
    projects.wait(page)
    assert address(page).endswith("/compare?version=delay-model%2F1.0.0&version=delay-model%2F1.1.0")
    row = page.get_by_role("region", name="Metrics").locator("tbody tr", has_text="auc")
    expect(row).to_contain_text("+0.01")
    expect(page.get_by_role("region", name="Parameters")).to_contain_text("depth")
    measured = page.get_by_role("region", name="Last benchmarks").locator("tbody tr")
    expect(measured.nth(0)).to_contain_text("flights:1")
    expect(measured.nth(1)).to_contain_text("0.71 to 0.75")
    expect(measured.last).to_contain_text("latency_p50_ms/256")


def test_a_hostile_name_is_text_wherever_it_stands(projects: ProjectSite, page: Page) -> None:
    projects.open(page, "/models/%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E")
    expect(page.get_by_role("heading", level=1)).to_have_text(projects.project.markup_model)
    expect(page.locator("main")).to_contain_text(RIGHT_TO_LEFT)
    expect(page.locator("main")).to_contain_text(MARKUP)
    for path in ("/", "/models", "/experiments"):
        projects.open(page, path)
        expect(page.locator("main")).to_contain_text("<img src=x onerror=")
    assert page.locator("main img").count() == 0
    assert page.evaluate("document.body.dataset.hacked") is None
