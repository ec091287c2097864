"""docs/defects.md names tests that exist, and all that bear a defect's number."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from wildfire_ingest.sources.catalog import CONNECTORS

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "defects.md"
ROW = re.compile(r"\| (\d+) \| ([^|]+) \| ([^|]+) \|")
NAMED = re.compile(r"`([\w/]+\.py)::(test_\w+)`")
MISSING = re.compile(r"its part is not built yet \(([^)]+)\)$")
NUMBERED = re.compile(r"test_defect_(\d+)_")

ROWS = {
    int(number): held.strip() for number, _, held in ROW.findall(PAGE.read_text(encoding="utf-8"))
}


def written() -> set[tuple[str, str]]:
    """Every test of the suite: file below the suite's folder, and name."""
    return {
        (path.relative_to(TESTS).as_posix(), node.name)
        for path in TESTS.rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def test_the_page_has_fifty_rows_in_order() -> None:
    assert list(ROWS) == list(range(1, 51))


@pytest.mark.parametrize("number", ROWS)
def test_a_row_is_held_by_a_test_or_says_what_is_not_built(number: int) -> None:
    held = ROWS[number]
    missing = MISSING.search(held)
    connectors = re.findall(r"`(\w+)`", missing[1]) if missing else []

    assert NAMED.search(held) or missing
    assert not [one for one in connectors if one in CONNECTORS], "it is built: name its tests"


def test_every_test_that_the_page_names_exists() -> None:
    named = {pair for held in ROWS.values() for pair in NAMED.findall(held)}

    assert named - written() == set()


def test_every_test_that_bears_a_number_stands_in_its_row() -> None:
    absent = [
        (file, name)
        for file, name in sorted(written())
        if (found := NUMBERED.match(name)) and f"`{file}::{name}`" not in ROWS[int(found[1])]
    ]

    assert absent == []
