"""How the command line prints: whole sentences, no markup read in what users wrote, errors on stderr."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import typer
from modelog.cli.lineage import _show, origins, tree_of
from modelog.cli.output import (
    console,
    fail,
    number,
    pairs,
    plain,
    say,
    show_fields,
    show_json,
    show_table,
    text,
    told,
    word,
)
from modelog.errors import Invalid, NotFound
from modelog.types import DatasetRef, Edge, Graph, Node
from rich.console import Console

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        (None, ""),
        (AT, "2026-01-02 03:04:05"),
        (0.123456, "0.1235"),
        ({"auc": 0.5, "n": 3}, "auc=0.5, n=3"),
        (["a", AT], "a, 2026-01-02 03:04:05"),
        (7, "7"),
    ],
)
def test_cells_are_texts(cell: Any, shown: str) -> None:
    assert text(cell) == shown


def test_tables_show_what_users_wrote_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    show_table(["name", "#n"], [["[red]x[/red]", 1]], empty="")
    show_table(["name"], [], empty="nothing yet")
    show_fields({"name": "[a]", "none": None, "empty": ""})
    shown = capsys.readouterr().out
    assert "[red]x[/red]" in shown
    assert "nothing yet" in shown
    assert "[a]" in shown
    assert "none" not in shown


def test_a_sentence_is_not_broken(capsys: pytest.CaptureFixture[str]) -> None:
    say("[x] " + "word " * 60)
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_records_become_json(capsys: pytest.CaptureFixture[str]) -> None:
    show_json({"a": [DatasetRef(dataset="d", version=1)], "b": (1,)})
    assert '"dataset": "d"' in capsys.readouterr().out
    assert plain(3) == 3


def test_words_lose_their_prefix() -> None:
    assert (word("STAGE_PRODUCTION", "STAGE_"), word("OTHER", "STAGE_")) == ("production", "other")


def test_pairs_and_numbers_are_read_or_refused_by_option() -> None:
    assert pairs(["a=1", "b=x=y"], "-p") == {"a": "1", "b": "x=y"}
    assert pairs(None, "-p") == {}
    assert (number("-3", "-p"), number("2.5", "-p")) == (-3, 2.5)
    with pytest.raises(Invalid, match="-p: '=1' must look like name=value"):
        pairs(["=1"], "-p")
    with pytest.raises(Invalid, match="-p: 'x' is not a number"):
        number("x", "-p")


def test_errors_are_one_line_each_on_stderr_and_exit_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    fields = [{"field": "a", "description": "is missing"}, {"field": "b[0]", "description": "is 1"}]
    with pytest.raises(typer.Exit) as ended, told():
        raise Invalid("a and b", fields=fields)
    assert ended.value.exit_code == 1
    with pytest.raises(typer.Exit), told():
        raise Invalid("a alone")
    with pytest.raises(typer.Exit), told():
        raise NotFound("not [bold]there[/bold] " + "x" * 200)
    with pytest.raises(typer.Exit):
        fail("plain")
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.splitlines() == [
        "error: a: is missing",
        "b[0]: is 1",
        "error: a alone",
        "error: not [bold]there[/bold] " + "x" * 200,
        "error: plain",
    ]


def test_a_closed_pipe_is_no_error() -> None:
    with pytest.raises(SystemExit) as ended, told():
        raise BrokenPipeError
    assert ended.value.code == 0


GRAPH = Graph(
    nodes=[
        Node(id="Prediction:p", kind="Prediction", name="p"),
        Node(id="ModelVersion:m/1", kind="ModelVersion", name="m [1]"),
        Node(id="Run:r", kind="Run"),
    ],
    edges=[
        Edge(source="Prediction:p", target="ModelVersion:m/1", kind="ANSWERED_BY"),
        Edge(source="ModelVersion:m/1", target="Run:r", kind="CAME_OF"),
        Edge(source="Run:r", target="Dataset:d/1", kind="READ"),
        Edge(source="Run:r", target="ModelVersion:m/1", kind="LOOKED_AT"),
    ],
)


def drawn(tree: Any) -> list[str]:
    wide = Console(width=120, color_system=None)
    with wide.capture() as capture:
        wide.print(tree)
    return [line.strip(" │├└─") for line in capture.get().splitlines()]


def test_lineage_is_drawn_as_a_tree_in_which_no_node_is_opened_twice() -> None:
    assert drawn(tree_of(GRAPH, "Prediction:p")) == [
        "Prediction p",
        "answered by ModelVersion m [1]",
        "came of Run Run:r",
        "looked at ModelVersion m [1]",
        "read Dataset:d/1",
    ]
    assert drawn(tree_of(GRAPH, "Run:r", reverse=True)) == [
        "Run Run:r",
        "came of ModelVersion m [1]",
        "answered by Prediction p",
        "looked at Run Run:r",
    ]
    assert drawn(tree_of(Graph(), "Model:x")) == ["Model:x"]


def link(source: str, kind: str, target: str) -> Edge:
    return Edge(source=source, target=target, kind=kind)


def test_origins_are_what_made_a_thing_and_each_is_told_once() -> None:
    graph = Graph(
        nodes=[Node(id=i, kind=i.partition(":")[0]) for i in ("Prediction:p", "ModelVersion:m/1", "Run:r", "Alert:a")],
        edges=[
            link("Prediction:p", "ANSWERED_BY", "ModelVersion:m/1"),
            link("Prediction:p", "ANSWERED_BY", "ModelVersion:m/1"),
            link("ModelVersion:m/1", "PRODUCED_BY", "Run:r"),
            link("ModelVersion:m/1", "TRAINED_ON", "DatasetVersion:d/1"),
            link("Run:r", "TRAINED_ON", "DatasetVersion:d/1"),
            link("ModelVersion:m/1", "CALLED_FOR_BY", "Alert:a"),
            link("Run:other", "TRAINED_ON", "DatasetVersion:d/2"),
        ],
    )
    found = origins(graph, "Prediction:p")
    assert [(e.source, e.kind, e.target) for e in found.edges] == [
        ("Prediction:p", "ANSWERED_BY", "ModelVersion:m/1"),
        ("ModelVersion:m/1", "PRODUCED_BY", "Run:r"),
        ("Run:r", "TRAINED_ON", "DatasetVersion:d/1"),
    ]
    assert [n.id for n in found.nodes] == ["Prediction:p", "ModelVersion:m/1", "Run:r"]


def test_lineage_is_json_when_asked(capsys: pytest.CaptureFixture[str]) -> None:
    _show(GRAPH, "Prediction:p", False, True)
    assert '"id": "Prediction:p"' in capsys.readouterr().out
    with console.capture() as capture:
        _show(GRAPH, "Prediction:p", False, False)
    assert "ModelVersion" in capture.get()
