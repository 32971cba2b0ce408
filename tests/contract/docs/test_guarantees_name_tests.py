"""Every sentence of docs/guarantees.md names tests that exist."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[2]
PAGE = TESTS.parent / "docs" / "guarantees.md"
DEFINED = re.compile(r"^ *(?:async )?def (test_\w+)|^class (Test\w+|\w+Suite|\w+Race|\w+Network)", re.MULTILINE)
IN_CODE = re.compile(r"`([^`]+)`")


def rows() -> list[tuple[str, str]]:
    """The promise and the tests of each row of each table."""
    found = []
    for line in PAGE.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").rsplit("|", 1)]
        if line.startswith("|") and len(cells) == 2 and not set(line) <= set("|- ") and cells[1] != "test":
            found.append((cells[0], cells[1]))
    return found


@cache
def names_defined() -> set[str]:
    """The names of all tests and suites."""
    return {
        name
        for file in TESTS.rglob("*.py")
        for match in DEFINED.finditer(file.read_text())
        for name in match.groups()
        if name
    }


def test_the_page_has_promises() -> None:
    assert len(rows()) > 30


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0][:60])
def test_every_promise_names_tests_that_exist(row: tuple[str, str]) -> None:
    promise, tests = row
    defined, named = names_defined(), 0
    for text in IN_CODE.findall(tests):
        path, _, name = text.partition("::")
        if path.endswith((".py", "/")):
            # A file may be named after a folder that was named before it.
            folders = [t for t in IN_CODE.findall(tests) if t.endswith("/")]
            exists = any((TESTS / folder / path).exists() for folder in ("", *folders)) or (
                "/" not in path.rstrip("/") and any(TESTS.rglob(path))
            )
            assert exists, f"{promise}\n{path} does not exist"
            named += path.endswith(".py")
        elif path.startswith("test_"):
            name = path
        if name.startswith(("test_", "Test")):
            assert name in defined, f"{promise}\n{name} is not defined"
            named += 1
    assert named or any(t.endswith("/") for t in IN_CODE.findall(tests)), f"{promise}\nnames no test"
