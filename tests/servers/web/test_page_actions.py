"""What can be done on the pages, in a real browser: by whom, with which refusals, and never in the past."""

from __future__ import annotations

import re
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, Request, expect
from small_project import MARKUP, curves
from toy_model import SIGNATURE

ProjectSite = Any  # of conftest.py, which cannot be imported by name
pytestmark = pytest.mark.xdist_group("web pages")
ACTS = ".acts button"


def opened(projects: ProjectSite, page: Page, path: str, user: str = "alice", role: str = "admin") -> None:
    page.goto("about:blank")
    page.goto(f"{projects.platform.url}{path}#token={projects.platform.token(user, role)}")
    projects.wait(page)


def dialog(page: Page, button: str) -> Locator:
    """The dialog that a button opens."""
    page.get_by_role("button", name=button, exact=True).click()
    return page.get_by_role("dialog")


def done(page: Page, shown: Locator, told: str) -> None:
    """Send what was written, and hear what came of it."""
    shown.locator("button.does").click()
    expect(page.locator("#told")).to_have_text(told)
    expect(page.get_by_role("dialog")).to_have_count(0)


def model(projects: ProjectSite, name: str) -> str:
    """A model with one version, which alice registered."""
    with projects.platform.client("alice") as alice:
        alice.models.create(name, "as it was")
        alice.models.register(name, None, flavor="python", signature=SIGNATURE, source="elsewhere")
    return f"/models/{name}"


def test_a_promotion_is_asked_for_reviewed_and_carried_out_by_two(projects: ProjectSite, page: Page) -> None:
    path = model(projects, "asked-for")
    opened(projects, page, path)
    asked = dialog(page, "Ask for promotion of 1.0.0 to staging")
    asked.get_by_label("Why the risk is so").fill("new data")
    asked.get_by_label("Must approve").fill("bob")
    done(page, asked, "Request 1 is opened.")
    requests = page.get_by_role("region", name="Change requests")
    requests.locator("summary").click()
    expect(requests).to_contain_text("It cannot be carried out yet:")
    mine = dialog(page, "Approve request 1")
    mine.get_by_label("What you looked at, and found").fill("I like it")
    mine.get_by_role("button", name="Approve").click()
    expect(mine.get_by_role("alert")).to_contain_text("alice registered asked-for 1.0.0 and may not review")
    expect(mine.get_by_label("What you looked at, and found")).to_have_value("I like it")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)

    opened(projects, page, path, "bob", "reviewer")
    requests.locator("summary").click()
    said = dialog(page, "Comment on request 1")
    said.get_by_label("Comment").fill(f"looking {MARKUP}")
    done(page, said, "Your comment on request 1 is kept.")
    expect(requests).to_contain_text(f"looking {MARKUP}")
    approved = dialog(page, "Approve request 1")
    approved.get_by_label("What you looked at, and found").fill("held against June")
    done(page, approved, "Your review of request 1 is kept.")
    expect(requests).to_contain_text("By the rules it can be carried out now.")
    done(page, dialog(page, "Carry out request 1"), "1.0.0 is in staging.")
    expect(page.get_by_role("region", name="Version 1.0.0")).to_contain_text("staging")
    expect(page.get_by_role("button", name="Carry out request 1")).to_have_count(0)
    expect(page.get_by_role("button", name="Comment on request 1")).to_be_visible()


def test_a_version_is_moved_and_who_comes_second_is_told_who_was_first(projects: ProjectSite, page: Page) -> None:
    opened(projects, page, model(projects, "moved"))
    late = dialog(page, "Promote to staging 1.0.0")
    expect(late).to_contain_text("There is no way back")
    with projects.platform.client("dave") as dave:
        dave.models.promote("moved", "1.0.0", "staging")
    late.get_by_role("button", name="Promote to staging").click()
    expect(late.get_by_role("alert")).to_contain_text("is not in development any more but in staging; dave moved it")
    late.get_by_role("button", name="Cancel").click()
    further = dialog(page, "Promote to production 1.0.0")
    further.get_by_role("button", name="Promote to production").click()
    expect(further.get_by_role("alert")).to_contain_text("approval by someone other than alice")
    further.get_by_role("button", name="Cancel").click()
    done(page, dialog(page, "Archive 1.0.0"), "1.0.0 is archived.")
    expect(page.get_by_role("button", name="Archive 1.0.0")).to_have_count(0)


def test_models_and_versions_are_described_tagged_and_named(projects: ProjectSite, page: Page) -> None:
    opened(projects, page, model(projects, "described"))
    for name, region in (("described", page.locator(".lead").first), ("1.0.0", page.locator("#version"))):
        text = dialog(page, f"Edit description of {name}")
        expect(text.get_by_label("Text")).to_have_value("as it was" if name == "described" else "")
        text.get_by_label("Text").fill(f"# {name}\n{MARKUP}")
        done(page, text, "The description is changed.")
        expect(region.locator(".note").first).to_have_text(f"# {name}\n{MARKUP}")
        tag = dialog(page, f"Edit tags of {name}")
        tag.get_by_label("New tag").fill("team")
        tag.get_by_label("Its value").fill(f"two\nlines {MARKUP}")
        done(page, tag, "The tags are changed.")
        expect(region).to_contain_text("team")
        tag = dialog(page, f"Edit tags of {name}")
        expect(tag.get_by_label("team", exact=True)).to_have_value(f"two\nlines {MARKUP}")
        tag.get_by_label("Take team away").check()
        done(page, tag, "The tags are changed.")
        expect(region).not_to_contain_text("team")
    alias = dialog(page, "Set alias to 1.0.0")
    alias.get_by_label("Alias").fill("not an alias")
    alias.get_by_role("button", name="Set alias").click()
    expect(alias.get_by_role("alert")).to_contain_text("letters, digits, '_' and '-'")
    alias.get_by_label("Alias").fill("champion")
    done(page, alias, "champion points to 1.0.0.")
    expect(page.locator("#version")).to_contain_text("champion")
    done(page, dialog(page, "Delete alias of 1.0.0"), "champion is taken away.")
    expect(page.locator("#version")).not_to_contain_text("champion")
    assert page.locator("main img").count() == 0
    assert page.evaluate("document.body.dataset.hacked") is None


def test_a_model_is_renamed_and_its_page_goes_along(projects: ProjectSite, page: Page) -> None:
    model(projects, "name-of-another")
    opened(projects, page, model(projects, "before"))
    name = dialog(page, "Rename model")
    expect(name.get_by_label("Name")).to_have_value("before")
    name.get_by_label("Name").fill("name-of-another")
    name.get_by_role("button", name="Rename model").click()
    expect(name.get_by_role("alert")).to_contain_text("there is another model called 'name-of-another'")
    name.get_by_label("Name").fill(f"задержки {MARKUP.replace('/', '')}")
    done(page, name, f"The model is called задержки {MARKUP.replace('/', '')}.")
    expect(page.get_by_role("heading", level=1)).to_have_text(f"задержки {MARKUP.replace('/', '')}")
    expect(page.get_by_role("region", name="History")).to_contain_text("from before to задержки")
    assert page.evaluate("document.body.dataset.hacked") is None
    opened(projects, page, f"/models/{projects.project.model}")
    served = dialog(page, "Rename model")
    served.get_by_label("Name").fill("any")
    served.get_by_role("button", name="Rename model").click()
    expect(served.get_by_role("alert")).to_contain_text("delay-model is served by late-flights")


def test_a_renamed_model_has_its_old_name_as_of_before(projects: ProjectSite, page: Page) -> None:
    path = model(projects, "old-name")
    with projects.platform.client("alice") as alice:
        position = alice.models.rename("old-name", "new-name").position
    projects.open(page, "/models/new-name")
    expect(page.get_by_role("region", name="History")).to_contain_text("from old-name to new-name")
    projects.open(page, f"{path}?as_of={position - 1}")
    expect(page.get_by_role("heading", level=1)).to_have_text("old-name")
    projects.open(page, path)
    expect(page.get_by_role("heading", level=1)).to_have_text("Not here")


def test_a_version_and_then_its_model_are_deleted(projects: ProjectSite, page: Page) -> None:
    path = model(projects, "not-needed")
    with projects.platform.client("alice") as alice:
        alice.models.register("not-needed", None, flavor="python", signature=SIGNATURE, source="elsewhere")
    opened(projects, page, f"{path}?version=1.0.0")
    version = dialog(page, "Delete version 1.0.0")
    expect(version).to_contain_text("its number is never used again")
    version.get_by_label("Why").fill("leaks the label")
    done(page, version, "1.0.0 is deleted.")
    expect(page.get_by_role("region", name="Versions", exact=True).locator("tbody th")).to_have_text(["1.1.0"])
    expect(page.get_by_role("region", name="History")).to_contain_text("leaks the label")
    whole = dialog(page, "Delete model not-needed")
    expect(whole).to_contain_text("is hidden with all its versions")
    whole.get_by_role("button", name="Cancel").click()
    done(page, dialog(page, "Delete model not-needed"), "not-needed is deleted.")
    expect(page.get_by_role("heading", level=1)).to_have_text("Models")
    page.goto(f"{projects.platform.url}{path}")
    expect(page.get_by_role("heading", level=1)).to_have_text("Not here")


def test_a_run_is_renamed_noted_tagged_deleted_and_restored(projects: ProjectSite, page: Page) -> None:
    with projects.platform.client("alice") as alice:
        alice.runs.experiment("acted")
        run = alice.runs.start("acted", "first name", tags={"long": "two\nlines", "gone": "soon"})
    opened(projects, page, f"/runs/{run.id}")
    name = dialog(page, "Rename run")
    name.get_by_label("Name").fill("second name")
    done(page, name, "The run is renamed.")
    expect(page.get_by_role("heading", level=1)).to_contain_text("second name")
    notes = dialog(page, "Edit notes")
    notes.get_by_label("Text").fill(f"*good*\n{MARKUP}")
    done(page, notes, "The notes are changed.")
    notes = dialog(page, "Edit notes")
    expect(notes.get_by_label("Text")).to_have_value(f"*good*\n{MARKUP}")
    page.keyboard.press("Escape")
    expect(page.locator(".note")).to_have_text(f"*good*\n{MARKUP}")
    tags = dialog(page, "Edit tags")
    expect(tags.get_by_label("long", exact=True)).to_have_value("two\nlines")
    tags.get_by_label("long", exact=True).fill("other\nlines")
    tags.get_by_label("Take gone away").check()
    tags.get_by_label("New tag").fill("kept")
    done(page, tags, "The tags are changed.")
    expect(page.get_by_role("region", name="Tags").locator("tbody th")).to_have_text(["kept", "long"])
    done(page, dialog(page, "Delete run"), "The run is deleted.")
    expect(page.get_by_role("heading", level=1)).to_contain_text("deleted")
    expect(page.locator(ACTS)).to_have_text(["Restore run"])
    done(page, dialog(page, "Restore run"), "The run is restored.")
    expect(page.get_by_role("heading", level=1)).not_to_contain_text("deleted")
    with projects.platform.client("alice") as alice:
        assert alice.runs.get(run.id).tags == {
            "kept": "",
            "long": "other\nlines",
            "mlflow.note.content": f"*good*\n{MARKUP}",
        }


def test_an_experiment_is_renamed_described_deleted_and_restored(projects: ProjectSite, page: Page) -> None:
    with projects.platform.client("alice") as alice:
        experiment = alice.runs.experiment("to be renamed")
        alice.runs.experiment("name that is taken")
    opened(projects, page, f"/experiments/{experiment.id}")
    name = dialog(page, "Rename experiment")
    name.get_by_label("Name").fill("name that is taken")
    name.get_by_role("button", name="Rename experiment").click()
    expect(name.get_by_role("alert")).to_contain_text("there is another experiment called 'name that is taken'")
    name.get_by_label("Name").fill("renamed")
    done(page, name, "The experiment is called renamed.")
    expect(page.get_by_role("heading", level=1)).to_have_text("renamed")
    text = dialog(page, "Edit description")
    text.get_by_label("Text").fill("why")
    done(page, text, "The description is changed.")
    expect(page.locator(".note")).to_have_text("why")
    done(page, dialog(page, "Delete experiment"), "The experiment is deleted.")
    done(page, dialog(page, "Restore experiment"), "The experiment is restored.")
    expect(page.get_by_role("button", name="Delete experiment")).to_be_visible()


def test_nothing_is_offered_to_who_may_only_look_nor_in_the_past(projects: ProjectSite, page: Page) -> None:
    project = projects.project
    paths = [f"/models/{project.model}", f"/runs/{project.runs[0]}", f"/experiments/{project.experiment}"]
    for path in paths:
        opened(projects, page, path, "carol", "viewer")
        expect(page.locator(ACTS)).to_have_count(0)
    for path in paths:
        opened(projects, page, path)
        expect(page.locator(ACTS).first).to_be_visible()
        page.get_by_role("button", name="Previous event").click()
        expect(page.locator("#past")).to_be_visible()
        expect(page.locator(ACTS)).to_have_count(0)
    opened(projects, page, paths[0], "dora", "developer")
    expect(page.locator(ACTS, has_text=re.compile("^Archive$"))).to_have_count(1)
    expect(page.locator(ACTS, has_text=re.compile("^(Approve|Reject)$"))).to_have_count(0)


def test_a_form_works_with_the_keyboard_and_passes_axe(projects: ProjectSite, page: Page) -> None:
    opened(projects, page, model(projects, "by-keyboard"))
    button = page.get_by_role("button", name="Ask for promotion of 1.0.0 to staging")
    button.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Title")).to_be_focused()
    assert Axe().run(page).response["violations"] == []
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": 360, "height": 740})
    assert Axe().run(page).response["violations"] == []
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    page.keyboard.press("Escape")
    expect(button).to_be_focused()
    page.keyboard.press("Enter")
    for _ in range(3):
        page.keyboard.press("Tab")
    page.keyboard.type("a reason")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#told")).to_have_text("Request 1 is opened.")
    expect(button).to_be_focused()


def test_a_file_is_fetched_by_the_browser_itself(projects: ProjectSite, page: Page) -> None:
    projects.open(page, f"/runs/{projects.project.runs[0]}")
    asked: list[Request] = []
    page.on("request", lambda request: asked.append(request))
    with page.expect_download() as saved:
        page.get_by_role("button", name="Download notes.txt").click()
    assert saved.value.suggested_filename == "notes.txt"
    assert saved.value.path().read_text().startswith("learned <b>nothing</b> new")
    files = [request for request in asked if "/api/v1/artifacts/" in request.url]
    assert [request.method for request in files] == ["POST"], "no script reads the file"


def test_a_comparison_follows_what_happens(projects: ProjectSite, page: Page) -> None:
    with projects.platform.client("alice") as alice:
        alice.runs.experiment("followed")
        runs = [alice.runs.start("followed", name) for name in ("a", "b")]
        alice.runs.log_metrics(runs[0].id, {"loss": curves(0)["loss"]})
        projects.open(page, f"/compare?run={runs[0].id}&run={runs[1].id}")
        found = page.get_by_role("region", name="Metrics", exact=True)
        expect(found.locator("tbody th")).to_have_text(["loss"])
        alice.runs.log_metrics(runs[1].id, {"auc": [0.5]})
        expect(found.locator("tbody th")).to_have_text(["auc", "loss"])
