"""The pages of experiments and runs in a real browser: the table, the curves, the difference and the comparison."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect
from shown_address import address, asked
from small_project import LONG, MARKUP, RIGHT_TO_LEFT

ProjectSite = Any  # of conftest.py, which cannot be imported by name
pytestmark = pytest.mark.xdist_group("web pages")


def runs(page: Page) -> Locator:
    return page.get_by_role("region", name="Runs").locator("tbody tr")


def figure(page: Page, metric: str) -> Locator:
    return page.locator("figure", has=page.get_by_text(metric, exact=True))


def test_experiments_are_searched(projects: ProjectSite, page: Page) -> None:
    projects.open(page, "/experiments")
    expect(page.locator("main")).to_contain_text(MARKUP)
    page.get_by_label("Name", exact=True).fill("FLIGHT")
    page.keyboard.press("Enter")
    expect(page.locator("main tbody tr")).to_have_count(1)
    page.get_by_role("link", name="flight-delay").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("flight-delay")
    assert address(page).endswith(f"/experiments/{projects.project.experiment}")


def test_runs_are_sorted_by_a_column_and_the_address_says_so(projects: ProjectSite, page: Page) -> None:
    projects.open(page, f"/experiments/{projects.project.experiment}?filter=depth")
    expect(runs(page)).to_have_count(6)
    page.get_by_role("button", name="auc").click()
    expect(runs(page).first).to_contain_text("depth-6-seed-1")
    assert (asked(page)["order"], asked(page)["descending"]) == (["metric.auc"], ["1"])
    expect(page.get_by_role("columnheader", name="auc")).to_have_attribute("aria-sort", "descending")
    page.get_by_role("button", name="auc").click()
    expect(runs(page).first).to_contain_text("depth-4-seed-0")
    page.go_back()
    expect(runs(page).first).to_contain_text("depth-6-seed-1")


FILTERS = [
    ("metric.auc > 0.76 and parameter.depth = 6", 1),
    ("parameter.booster in ('dart', 'other') and run_name like 'depth%'", 3),
    ("tag.team is null", 2),
    ("status = failed", 1),
    ("user = alice and SEED-1", 3),
    ('parameter."depth" != 4', 4),
]
SENSELESS = [
    ("metric.auc > high", "“high” is no number; auc is compared with one, such as 0.7."),
    ("metrik.auc > 1", "“metrik” is not known; there are metric, parameter, tag, attribute and dataset"),
    ("auc > 1", "“auc” is no attribute"),
    ("status in RUNNING", "A list stands in parentheses"),
    ("tag.team = 'air", "A ' is not closed."),
]


def test_runs_are_filtered_by_what_somebody_writes(projects: ProjectSite, page: Page) -> None:
    projects.open(page, f"/experiments/{projects.project.experiment}")
    for text, count in FILTERS:
        page.get_by_label("Filter").fill(text)
        page.keyboard.press("Enter")
        expect(runs(page), text).to_have_count(count)
        assert asked(page)["filter"] == [text]


def test_runs_are_searched_by_words(projects: ProjectSite, page: Page) -> None:
    projects.open(page, f"/experiments/{projects.project.experiment}?filter=metric.auc+%3E+0")
    for words, count in (("gbtree", 3), ("gbtree air depth-5", 1), ("gbtree nothing", 0)):
        page.get_by_label("Words", exact=True).fill(words)
        page.keyboard.press("Enter")
        expect(runs(page), words).to_have_count(count)
        assert (asked(page)["words"], asked(page)["filter"]) == ([words], ["metric.auc > 0"])
    expect(page.locator("main")).to_contain_text("No run has these words and meets the filter.")
    projects.open(page, f"/experiments/{projects.project.experiment}?words=study")
    expect(page.get_by_label("Words", exact=True)).to_have_value("study")
    expect(runs(page)).to_have_count(1)


def test_a_filter_that_makes_no_sense_says_what_would(projects: ProjectSite, page: Page) -> None:
    projects.open(page, f"/experiments/{projects.project.experiment}")
    for text, told in SENSELESS:
        page.get_by_label("Filter").fill(text)
        page.keyboard.press("Enter")
        expect(page.locator(".wrong")).to_contain_text(told)
        expect(page.get_by_label("Filter")).to_have_attribute("aria-invalid", "true")


def test_columns_are_picked_kept_and_shared(projects: ProjectSite, page: Page) -> None:
    projects.open(page, f"/experiments/{projects.project.experiment}")
    page.get_by_text("Columns", exact=True).click()
    page.get_by_label("lr", exact=True).uncheck()
    page.get_by_label("seed", exact=True).check()
    heads = page.get_by_role("region", name="Runs").locator("thead th")
    expect(heads.last).to_have_text("seed")
    assert "metric.lr" not in asked(page)["column"]
    page.get_by_label("Another column").fill("metric.later")
    page.keyboard.press("Enter")
    expect(heads.last).to_have_text("later")
    stored = json.loads(page.evaluate(f"localStorage.getItem('modelog.columns.{projects.project.experiment}')"))
    assert stored == asked(page)["column"]
    projects.open(page, f"/experiments/{projects.project.experiment}")
    expect(heads.last).to_have_text("later")
    projects.open(page, f"/experiments/{projects.project.experiment}?column=metric.loss")
    expect(heads).to_have_text(["Chosen", "Run", "loss"])


def test_a_long_list_has_pages(projects: ProjectSite, page: Page) -> None:
    projects.open(page, f"/experiments/{projects.project.experiment}?size=5&filter=depth")
    expect(runs(page)).to_have_count(5)
    page.get_by_role("button", name="Next page").click()
    expect(runs(page)).to_have_count(1)
    expect(runs(page)).to_contain_text("depth-4-seed-0")
    page.go_back()
    expect(runs(page)).to_have_count(5)


def test_many_runs_are_drawn_across_their_parameters(projects: ProjectSite, page: Page) -> None:
    projects.open(page, f"/experiments/{projects.project.experiment}?filter=depth")
    page.get_by_role("button", name="Parallel coordinates").click()
    plot = page.get_by_role("img", name=re.compile("6 runs across booster, depth, rate, auc, loss, lr"))
    expect(plot.locator("canvas")).to_be_visible()
    assert asked(page)["view"] == ["parallel"]
    page.get_by_text("As a table").click()
    expect(page.locator("figure tbody tr")).to_have_count(6)


def test_a_run_shows_its_curves_and_all_that_belongs_to_it(projects: ProjectSite, page: Page) -> None:
    projects.open(page, f"/runs/{projects.project.runs[0]}")
    expect(page).to_have_title("depth-4-seed-0 · Modelog")
    expect(page.get_by_role("img", name=re.compile("^loss: last .*, 40 points")).locator("canvas")).to_be_visible()
    for name, text in (
        ("Metrics", "auc"), ("Parameters", "dart"), ("Tags", "team"), ("Datasets", "flights 1"),
        ("Models", "production"), ("Environment", "3.11.9"),
    ):  # fmt: skip
        expect(page.get_by_role("region", name=name, exact=True)).to_contain_text(text)
    expect(page.locator("main")).to_contain_text("the first of all")
    figure(page, "loss").get_by_text("As a table").click()
    expect(figure(page, "loss").locator("tbody tr")).to_have_count(40)


def test_curves_are_smoothed_and_put_on_other_axes_by_the_address(projects: ProjectSite, page: Page) -> None:
    projects.open(page, f"/runs/{projects.project.runs[0]}?smooth=0.6&x=time&log=1")
    expect(figure(page, "lr")).to_contain_text("values up to 0 have no logarithm")
    expect(page.get_by_label("Over")).to_have_value("time")
    expect(page.get_by_label("Smoothing")).to_have_value("0.6")
    page.get_by_label("Logarithmic").uncheck()
    expect(figure(page, "lr")).not_to_contain_text("logarithm")
    page.get_by_label("Over").select_option("since")
    page.get_by_label("Smoothing").focus()
    page.keyboard.press("ArrowRight")
    page.get_by_role("searchbox", name="Metrics").fill("lo")
    expect(page.locator("figure")).to_have_count(1)
    assert asked(page) == {"smooth": ["0.61"], "x": ["since"], "metrics": ["lo"]}


def test_a_long_curve_is_drawn_by_few_points_and_a_part_of_it_is_asked_for_again(
    projects: ProjectSite, page: Page
) -> None:
    with projects.platform.client("alice") as alice:
        alice.runs.experiment("long curves")
        run = alice.runs.start("long curves", "long")
        values = [float(n % 10) for n in range(10_000)]
        values[7777] = 99.0
        alice.runs.log_metrics(run.id, {"m": values})
    bodies: list[str] = []
    page.on("response", lambda answer: bodies.append(answer.text()) if "/metrics" in answer.url else None)
    projects.open(page, f"/runs/{run.id}")
    expect(figure(page, "m")).to_contain_text("0 to 99, 10,000 points, drawn by 1,819 of them")
    page.get_by_label("From step").fill("7000")
    page.keyboard.press("Tab")
    expect(page.get_by_label("To step")).to_be_focused()
    page.keyboard.type("7999")
    page.keyboard.press("Enter")
    expect(figure(page, "m")).to_contain_text("0 to 99, 1,000 points")
    expect(figure(page, "m")).not_to_contain_text("drawn by")
    assert (asked(page)["from"], asked(page)["to"]) == (["7000"], ["7999"])
    plot = figure(page, "m").locator("canvas")
    box = plot.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 90, steps=5)
    page.mouse.up()
    expect(page.get_by_label("From step")).not_to_have_value("7000")
    first, last = (int(asked(page)[name][0]) for name in ("from", "to"))
    assert 7000 < first < last < 7999
    expect(figure(page, "m")).to_contain_text(f"{last - first + 1} points")
    page.get_by_label("Over").select_option("since")
    expect(figure(page, "m")).to_contain_text("10,000 points")
    page.get_by_label("From second").fill("3600")
    page.keyboard.press("Enter")
    expect(figure(page, "m")).to_contain_text("no point in this part")
    page.get_by_role("button", name="Whole curves").click()
    expect(figure(page, "m")).to_contain_text("10,000 points, drawn by 1,819 of them")
    assert max(len(body) for body in bodies) < 200_000


def test_a_curve_grows_while_the_run_logs(projects: ProjectSite, page: Page) -> None:
    with projects.platform.client("alice") as alice:
        run = alice.runs.start("flight-delay", "still running")
        projects.open(page, f"/runs/{run.id}")
        expect(page.locator("main")).to_contain_text("Nothing was logged yet; this page will show it.")
        alice.runs.log_metrics(run.id, {"loss": [3.0, 2.0]})
        expect(figure(page, "loss")).to_contain_text("last 2, 2 to 3, 2 points")
        alice.runs.log_metrics(run.id, {"loss": [1.0]}, first_step=2)
        expect(figure(page, "loss")).to_contain_text("last 1, 1 to 3, 3 points")
        alice.runs.end(run.id)
        expect(page.get_by_role("heading", level=1)).to_contain_text("completed")
        alice.runs.delete(run.id)
    expect(page.get_by_role("heading", level=1)).to_contain_text("deleted")


def test_files_are_looked_at_and_downloaded(projects: ProjectSite, page: Page) -> None:
    projects.open(page, f"/runs/{projects.project.runs[0]}")
    page.get_by_role("button", name="Look at notes.txt").click()
    expect(page.get_by_label("Text of notes.txt")).to_contain_text("learned <b>nothing</b> new")
    page.get_by_role("button", name="Look at importance.png").click()
    picture = page.get_by_alt_text("The file importance.png")
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.decode().then(() => [image.naturalWidth, image.naturalHeight])") == [64, 32]
    with page.expect_download() as saved:
        page.get_by_role("button", name="Download notes.txt").click()
    assert saved.value.suggested_filename == "notes.txt"
    assert saved.value.path().read_text().startswith("learned <b>nothing</b> new")


def test_nested_runs_know_each_other(projects: ProjectSite, page: Page) -> None:
    projects.open(page, f"/runs/{projects.project.parent}")
    page.get_by_role("region", name="Nested runs").get_by_role("link", name="within").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("within")
    page.locator(".lead").get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("a study")


def test_a_failed_run_says_why(projects: ProjectSite, page: Page) -> None:
    projects.open(page, f"/runs/{projects.project.runs[5]}")
    expect(page.get_by_role("heading", level=1)).to_contain_text("failed")
    expect(page.get_by_label("Error")).to_have_text("out of memory")


def test_hostile_names_and_values_are_text(projects: ProjectSite, page: Page) -> None:
    projects.open(page, f"/runs/{projects.project.hostile}")
    expect(page.get_by_role("heading", level=1)).to_contain_text(RIGHT_TO_LEFT)
    expect(figure(page, MARKUP)).to_contain_text("2 NaN or infinite")
    expect(page.get_by_role("region", name="Parameters")).to_contain_text(MARKUP)
    expect(page.get_by_role("region", name="Parameters")).to_contain_text(LONG)
    page.get_by_role("button", name="Look at page.html").click()
    expect(page.get_by_label("Text of page.html")).to_have_text(MARKUP)
    assert page.locator("main img").count() == 0
    assert page.evaluate("document.body.dataset.hacked") is None


def test_two_runs_are_set_against_each_other(projects: ProjectSite, page: Page) -> None:
    projects.open(page, f"/experiments/{projects.project.experiment}?filter=seed-0")
    page.get_by_label("Choose depth-4-seed-0").check()
    page.get_by_label("Choose depth-5-seed-0").check()
    page.get_by_role("button", name="Difference of two").click()
    projects.wait(page)
    parameters = page.get_by_role("region", name="Parameters")
    expect(parameters.locator("tbody th")).to_have_text(["booster", "depth"])
    expect(parameters).to_contain_text("1 more is equal.")
    expect(page.get_by_role("region", name="Environment")).to_contain_text("package xgboost")
    expect(page.get_by_role("region", name="Tags")).to_contain_text("mlflow.note.content")
    expect(page.get_by_role("region", name="Code")).to_contain_text("No difference; 1 is equal.")
    page.get_by_label("show what is equal too").check()
    expect(parameters.locator("tbody th")).to_have_text(["booster", "depth", "rate"])
    expect(page.get_by_role("region", name="Code")).to_contain_text("0123abcd")
    page.get_by_role("region", name="Curves").scroll_into_view_if_needed()
    expect(figure(page, "loss")).to_contain_text("depth-5-seed-0: last")


def test_repeated_runs_are_compared_with_intervals(projects: ProjectSite, page: Page) -> None:
    first, second = projects.project.runs[:3], projects.project.runs[3:]
    projects.open(page, f"/compare?run={','.join(first)}&run={','.join(second)}")
    row = page.get_by_role("region", name="Metrics").locator("tbody tr", has_text="auc")
    expect(row).to_contain_text("+0.043155 *")
    expect(row).to_contain_text("Welch's t")
    plot = page.get_by_role("img", name=re.compile(r"auc, less that of .*: 0\.043155, 0\.0\d+ to 0\.0\d+"))
    plot.scroll_into_view_if_needed()
    expect(plot.locator("canvas")).to_be_visible()
    page.get_by_label("The n-th runs are").select_option("RUN_DESIGN_PAIRED")
    expect(row).to_contain_text("paired t")
    assert asked(page)["design"] == ["RUN_DESIGN_PAIRED"]


def test_what_mlflows_clients_print_leads_to_the_run(projects: ProjectSite, page: Page) -> None:
    projects.open(page, "/experiments")
    page.goto(f"{projects.platform.url}/#/experiments/{projects.project.experiment}/runs/{projects.project.runs[1]}")
    expect(page.get_by_role("heading", level=1)).to_contain_text("depth-5-seed-0")
    assert address(page).endswith(f"/runs/{projects.project.runs[1]}")


def test_a_run_is_shown_as_it_was(projects: ProjectSite, page: Page) -> None:
    with projects.platform.client("alice") as alice:
        run = alice.runs.start("flight-delay", "of the past")
        started = run.position
        alice.runs.log_metrics(run.id, {"loss": [3.0]})
        ended = alice.runs.end(run.id).position
        alice.runs.tag(run.id, {"later": "yes"})
    projects.open(page, f"/runs/{run.id}?as_of={started}")
    expect(page.get_by_role("heading", level=1)).to_contain_text("running")
    expect(page.get_by_role("region", name="Metrics", exact=True)).to_contain_text("None were logged.")
    projects.open(page, f"/runs/{run.id}?as_of={ended}")
    expect(page.get_by_role("heading", level=1)).to_contain_text("completed")
    expect(figure(page, "loss")).to_contain_text("last 3")
    expect(page.get_by_role("region", name="Tags")).not_to_contain_text("later")
    projects.open(page, f"/experiments/{projects.project.experiment}?as_of={started}&filter=past")
    expect(runs(page)).to_contain_text("running")
    with projects.platform.client("alice") as alice:
        alice.runs.delete(run.id)  # other tests count
