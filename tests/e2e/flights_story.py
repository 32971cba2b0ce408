"""The flights story as a process of its own, and what must be true at its end whatever the platform stands on."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

# No test asserts a time: it takes five minutes on two quiet cores.
LIMIT_S = 3600


def told_from_start_to_end(folder: Path, *arguments: str, limit_s: float = LIMIT_S, **more: str) -> None:
    """Tell it in `folder`, with more arguments and environment variables; fails when it does not end as it must."""
    home = folder / "home"
    home.mkdir()
    report = folder / "report.html"
    environment = {"HOME": str(home), "PATH": os.environ["PATH"], "COLUMNS": "200", **more}
    done = subprocess.run(
        [sys.executable, "-m", "flights", "--exit", "--port", "0", "--report", str(report), *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=limit_s - 30,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    was_told(done.stdout, report, folder / ".modelog")


def was_told(said: str, report: Path, data: Path) -> None:
    """Fails unless what the story said, the report that it wrote, and its platforms' folder are as they must be."""
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
    assert not any(data.glob("demo-*")), "the data directory goes unless --keep is given"
