"""What a link shows in a real browser, to somebody without a token; and workspaces on the pages."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page, expect

ProjectSite = Any  # of conftest.py, which cannot be imported by name


def test_whoever_has_a_link_sees_one_thing_and_no_token_is_asked_for(projects: ProjectSite, page: Page) -> None:
    with projects.platform.client("alice", "developer") as alice:
        alice.runs.experiment("<b>linked</b>", "<i>why</i>")
        run = alice.runs.start("<b>linked</b>", "a shared run", parameters={"depth": 6})
        alice.runs.log(run.id, metrics={"auc": 0.75})
        tokens = [
            alice.links.create(run_id=run.id).token,
            alice.links.create(experiment_id=run.experiment_id).token,
        ]
        revoked = alice.links.create(run_id=run.id)
        assert revoked.link is not None
        alice.links.revoke(revoked.link.id)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{projects.platform.url}/shared#{tokens[0]}")
    expect(page.get_by_role("heading", name="a shared run")).to_be_visible()
    expect(page.locator("main")).to_contain_text("0.75")
    expect(page.locator("main")).to_contain_text("Shared by alice")
    assert not [url for url in asked if tokens[0].partition(".")[2] in url.partition("#")[0]]
    page.goto(f"{projects.platform.url}/shared#{tokens[1]}")
    expect(page.get_by_role("heading", name="<b>linked</b>")).to_be_visible()
    expect(page.locator("#runs")).to_contain_text("a shared run")
    page.goto(f"{projects.platform.url}/shared#{revoked.token}")
    expect(page.get_by_role("alert")).to_contain_text("this link shows nothing")


def test_workspaces_lead_to_what_is_in_them(projects: ProjectSite, page: Page) -> None:
    with projects.platform.client("alice", "developer") as alice:
        alice.workspaces.create("on-pages", "seen on a page")
        alice.runs.experiment("only there", workspace="on-pages")
    projects.open(page, "/workspaces")
    expect(page.get_by_role("row").filter(has_text="on-pages")).to_contain_text("alice (admin)")
    page.get_by_role("row").filter(has_text="on-pages").get_by_role("link", name="experiments").click()
    expect(page.locator("main")).to_contain_text("In on-pages only.")
    expect(page.get_by_role("row").filter(has_text="only there")).to_be_visible()
    page.get_by_role("link", name="Look everywhere").click()
    expect(page.locator("main")).not_to_contain_text("In on-pages only.")
