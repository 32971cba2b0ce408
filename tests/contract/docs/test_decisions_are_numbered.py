"""Each decision record has a number of its own, in its name and in its title."""

from __future__ import annotations

import re
from pathlib import Path

FOLDER = Path(__file__).parents[3] / "docs" / "decisions"


def test_each_decision_has_its_own_number() -> None:
    numbers = []
    for file in sorted(FOLDER.glob("*.md")):
        number = int(file.name.partition("-")[0])
        assert re.match(rf"# {number}\. ", file.read_text()), file.name
        numbers.append(number)
    assert numbers == list(range(1, len(numbers) + 1))
