"""Links through REST: whoever has one needs no token of their own."""

from __future__ import annotations

import httpx
import modelog
import pytest
from modelog.errors import NotFound
from small_platform import SmallPlatform


def test_a_link_is_opened_without_a_token(platform: SmallPlatform) -> None:
    with platform.client("alice", "developer") as alice:
        alice.runs.experiment("shared-delays")
        run = alice.runs.start("shared-delays", "first")
        made = alice.links.create(run_id=run.id, days=1)
        with httpx.Client(base_url=platform.url, timeout=150) as nobody:
            assert nobody.get(f"/api/v1/runs/{run.id}").status_code == 401
            opened = nobody.post("/api/v1/links/open", json={"token": made.token})
            assert (opened.status_code, opened.json()["run"]["id"]) == (200, run.id)
            guessed = nobody.post("/api/v1/links/open", json={"token": "x"})
            assert (guessed.status_code, guessed.json()["title"]) == (404, "NotFound")
            unreadable = nobody.post("/api/v1/links/open", json={"token": 5})
            assert unreadable.status_code == 400
        with modelog.Client(platform.url, "") as client:
            shown = client.links.open(made.token)
            assert (shown.by, shown.run and shown.run.name) == ("alice", "first")
            assert made.link is not None
            alice.links.revoke(made.link.id)
            with pytest.raises(NotFound, match="this link shows nothing"):
                client.links.open(made.token)
