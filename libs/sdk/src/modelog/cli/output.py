"""How the command line prints: tables for people, JSON for programs, errors on stderr."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Dict, Iterator, List, Optional, Sequence, Union

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from modelog.errors import Invalid, ModelogError
from modelog.types import Record

AsOf = typer.Option(
    None, "--as-of", help="Look at a position of the log, or at an RFC 3339 time [default: MODELOG_AS_OF, or now]."
)
InWorkspace = typer.Option("", "--workspace", "-w", help="Only what is in this workspace.")
InProject = typer.Option("", "--project", "-p", help="Only what is in this project of the workspace.")
AsJson = typer.Option(False, "--json", help="Print JSON instead of a table.")
# What is read by a program or a file is not cut to the width of a screen.
console = Console(width=None if sys.stdout.isatty() else 240)
errors = Console(stderr=True)
EXIT_REFUSED = 1


def show_json(value: Any) -> None:
    """Print records as JSON, two spaces deep."""
    typer.echo(json.dumps(plain(value), indent=2, ensure_ascii=False))


def plain(value: Any) -> Any:
    if isinstance(value, Record):
        return value.to_dict()
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    return value


def say(sentence: str) -> None:
    """Print a sentence as it is, however long: no markup is read in it, no line of it is broken."""
    console.print(sentence, highlight=False, markup=False, soft_wrap=True)


def show_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], *, empty: str) -> None:
    """Print a table, or the sentence `empty` when there are no rows."""
    if not rows:
        console.print(empty)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold", justify="right" if column.startswith("#") else "left")
    for row in rows:
        table.add_row(*(escape(text(cell)) for cell in row))
    console.print(table)


def show_fields(fields: Dict[str, Any]) -> None:
    """Print names and values, one a line; what is empty is left out."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in fields.items():
        if value not in (None, "", [], {}):
            table.add_row(name, escape(text(value)))
    console.print(table)


def text(cell: Any) -> str:
    if cell is None:
        return ""
    if isinstance(cell, datetime):
        return cell.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(cell, float):
        return f"{cell:.4g}"
    if isinstance(cell, dict):
        return ", ".join(f"{k}={text(v)}" for k, v in cell.items())
    if isinstance(cell, list):
        return ", ".join(text(v) for v in cell)
    return str(cell)


def word(value: str, prefix: str) -> str:
    """ "production" of "STAGE_PRODUCTION"."""
    return value[len(prefix) :].lower() if value.startswith(prefix) else value.lower()


@contextmanager
def told() -> Iterator[None]:
    """Turns errors into a sentence on stderr and exit status 1."""
    try:
        yield
    except Invalid as error:
        lines = [f"{f['field']}: {f['description']}" for f in error.fields] or [str(error)]
        fail("\n".join(lines))
    except ModelogError as error:
        fail(str(error))
    except BrokenPipeError:
        sys.exit(0)


def fail(message: str) -> None:
    """Print an error and leave with status 1."""
    errors.print(f"[bold red]error:[/] {escape(message)}", highlight=False, soft_wrap=True)
    raise typer.Exit(EXIT_REFUSED)


def pairs(values: Optional[List[str]], option: str) -> Dict[str, str]:
    """["a=1"] as {"a": "1"}; raises Invalid for what has no "="."""
    found: Dict[str, str] = {}
    for value in values or []:
        name, equals, given = value.partition("=")
        if not equals or not name:
            raise Invalid(f"{option}: {value!r} must look like name=value")
        found[name] = given
    return found


def number(value: str, option: str) -> Union[int, float]:
    """A number; raises Invalid, naming the option, for anything else."""
    try:
        return int(value) if value.lstrip("-").isdigit() else float(value)
    except ValueError:
        raise Invalid(f"{option}: {value!r} is not a number") from None
