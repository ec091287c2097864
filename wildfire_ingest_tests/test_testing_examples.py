"""The examples of docs/testing.md do what the page says."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "docs" / "testing.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)


def _tests() -> dict[str, Callable[..., None]]:
    found: dict[str, Callable[..., None]] = {}
    for number, block in enumerate(BLOCKS):
        names: dict[str, Callable[..., None]] = {"__name__": f"example_{number}"}  # type: ignore[dict-item]
        exec(compile(block, f"{PAGE.name}[{number}]", "exec"), names)
        found |= {name: test for name, test in names.items() if name.startswith("test_")}
    return found


TESTS = _tests()


def test_the_page_has_three_examples() -> None:
    assert len(BLOCKS) == 3
    assert len(TESTS) == 4


@pytest.mark.parametrize("name", sorted(TESTS))
def test_an_example_of_the_page(name: str, tmp_path: Path) -> None:
    TESTS[name](tmp_path)
