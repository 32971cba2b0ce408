"""The acceptance test of the first story: `python -m flights --exit`, as `make demo EXIT=1` runs it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

LIMIT_S = 900


@pytest.mark.slow
@pytest.mark.timeout(LIMIT_S)
def test_the_year_is_told_from_start_to_end(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    report = tmp_path / "report.html"
    environment = {"HOME": str(home), "PATH": os.environ["PATH"], "COLUMNS": "200"}
    done = subprocess.run(
        [sys.executable, "-m", "flights", "--exit", "--port", "0", "--report", str(report)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=LIMIT_S - 30,
    )
    said = done.stdout
    assert done.returncode == 0, said + done.stderr
    print(re.search(r"took +\d+ s", said))

    assert "alice registered flight-delay 1.0.0 and may not approve it" in said
    assert "challenger 1.1.0 is refused: no gain beyond chance" in said
    promoted = re.findall(r"challenger (\S+) wins again .* and replaces (\S+)", said)
    assert promoted, "some challenger of the year is better than the first model"
    assert promoted[0][1] == "1.0.0"
    assert re.search(r"the registry now: .*1\.0\.0 archived", said)
    assert f"{promoted[-1][0]} production" in said
    assert re.search(r"events hash to the signed root .*: intact", said)
    assert "do not give the signed root" in said
    for month in ("March", "June", "September", "December"):
        assert re.search(rf"{month} +0\.\d+ +0\.\d+ to 0\.\d+", said), month

    page = report.read_text()
    assert not re.search(r"""<(script|link|img)[^>]+(src|href)=["']https?:""", page)
    assert "What led to prediction" in page
    assert not any((tmp_path / ".modelog").glob("demo-*")), "the data directory goes unless --keep is given"
