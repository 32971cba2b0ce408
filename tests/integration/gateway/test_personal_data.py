"""Personal data of users over REST: kept sealed, shown to who may see it, erased for good, and never logged."""

from __future__ import annotations

import json

import httpx
import pytest
from small_platform import SmallPlatform

BOB = {"full_name": "Bob Ørsted-Example", "email": "bob@example.org"}


def created(http: httpx.Client, name: str, **details: str) -> dict[str, object]:
    answer = http.post("/api/v1/users", json={"name": name, "roles": ["viewer"], **details})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def user(http: httpx.Client, name: str, **query: object) -> dict[str, object]:
    users = http.get("/api/v1/users", params={"page_size": 1000, **query}).json()["users"]  # type: ignore[dict-item]
    return next(dict(u) for u in users if u["name"] == name)


def payloads(http: httpx.Client, kind: str) -> list[dict[str, object]]:
    events = http.get("/api/v1/events", params={"type": kind, "limit": 1000}).json()["events"]
    return [e["payload"] for e in events]


def details(found: dict[str, object]) -> dict[str, object]:
    return {name: found.get(name) for name in ("full_name", "email")}


def test_a_users_details_are_kept_replaced_and_removed(http: httpx.Client) -> None:
    first = created(http, "bob", **BOB)
    assert details(first) == BOB
    assert created(http, "bob", **BOB)["position"] == first["position"]
    changed = http.post("/api/v1/users/bob/details", json={"email": "b@example.org"}).json()
    assert details(changed) == {"full_name": "", "email": "b@example.org"}
    assert details(user(http, "bob")) == {"full_name": "", "email": "b@example.org"}
    assert details(user(http, "bob", as_of=first["position"])) == BOB
    other = http.post("/api/v1/users", json={"name": "bob", "roles": ["viewer"], **BOB})
    assert (other.status_code, other.json()["detail"]) == (
        409,
        "there is a user 'bob' with another full name or e-mail address",
    )


def test_an_erased_user_reads_erased_at_every_moment(http: httpx.Client) -> None:
    first = created(http, "carl", **BOB)
    erased = http.post("/api/v1/users/carl/erase", json={"reason": "ticket 4711"}).json()
    gone = {"full_name": "[erased]", "email": "[erased]"}
    assert (details(erased), erased["roles"]) == (gone, [])
    assert erased["erased_at"]
    assert details(user(http, "carl")) == gone
    before = user(http, "carl", as_of=first["position"])
    assert (details(before), before["roles"], before.get("erased_at")) == (gone, ["viewer"], None)
    again = http.post("/api/v1/users/carl/erase", json={"reason": "again"}).json()
    assert again == erased
    (told,) = [p for p in payloads(http, "gateway.UserErased") if p["name"] == "carl"]
    assert (told["reason"], told["by"]) == ("ticket 4711", "alice")


@pytest.mark.parametrize(
    ("path", "body", "text"),
    [
        ("users", {"name": "dora", "roles": ["viewer"]}, "choose another name, this one is not given again"),
        ("users", {"name": "dora", "roles": ["viewer"], **BOB}, "user/dora was erased; nothing personal is kept"),
        ("users/dora/details", BOB, "the user 'dora' was erased"),
        ("tokens", {"user": "dora"}, "the user 'dora' was erased"),
    ],
)
def test_an_erased_user_gets_nothing_new(http: httpx.Client, path: str, body: dict[str, object], text: str) -> None:
    http.post("/api/v1/users", json={"name": "dora", "roles": ["viewer"], **BOB})
    http.post("/api/v1/users/dora/erase", json={"reason": "ticket 4711"})
    answer = http.post(f"/api/v1/{path}", json=body)
    assert answer.status_code in (409, 422), answer.text
    assert text in answer.json()["detail"]


def test_who_is_not_there_cannot_be_erased_and_a_reason_is_needed(http: httpx.Client) -> None:
    missing = http.post("/api/v1/users/nobody/erase", json={"reason": "ticket"})
    assert (missing.status_code, missing.json()["detail"]) == (404, "there is no user 'nobody'")
    created(http, "nobody", **BOB)
    assert http.post("/api/v1/users/nobody/erase", json={}).json()["errors"][0]["field"] == "reason"
    assert details(user(http, "nobody")) == BOB


def test_only_an_admin_erases(platform: SmallPlatform, http: httpx.Client) -> None:
    created(http, "fay", **BOB)
    for role in ("developer", "reviewer", "service"):
        headers = {"Authorization": f"Bearer {platform.token('eve', role)}"}
        answer = httpx.post(
            f"{platform.url}/api/v1/users/fay/erase", json={"reason": "spite"}, headers=headers, timeout=150
        )
        assert answer.status_code == 403
    theirs = {"Authorization": f"Bearer {platform.token('eve', 'admin', tenant='other')}"}
    answer = httpx.post(f"{platform.url}/api/v1/users/fay/erase", json={"reason": "spite"}, headers=theirs, timeout=150)
    assert answer.status_code == 404
    assert details(user(http, "fay")) == BOB


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("email", "secret-person-without-at", "what was given is not allowed; allowed: an address such as"),
        ("email", "secret-person@" + "x" * 300, "what was given has 314 characters; allowed: 0 to 254"),
        ("full_name", "secret-person\nand a line", "what was given is not allowed; allowed: text of one line"),
    ],
)
def test_wrong_details_are_named_and_not_repeated(
    http: httpx.Client, capfd: pytest.CaptureFixture[str], field: str, value: str, text: str
) -> None:
    answer = http.post("/api/v1/users", json={"name": "gil", "roles": ["viewer"], field: value})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == field
    assert text in answer.json()["errors"][0]["description"]
    assert "secret-person" not in answer.text
    assert "secret-person" not in "".join(capfd.readouterr())


def test_everything_is_read_after_the_master_key_was_rotated(http: httpx.Client) -> None:
    created(http, "hal", **BOB)
    assert int(http.post("/api/v1/master-key/rotate", json={}).json()["keys"]) >= 1
    assert details(user(http, "hal")) == BOB
    created(http, "ida", **BOB)
    assert int(http.post("/api/v1/master-key/rotate", json={}).json()["keys"]) >= 2
    assert details(user(http, "ida")) == BOB


def test_the_log_holds_no_plain_text(http: httpx.Client) -> None:
    created(http, "joe", full_name="Joe Unmistakable", email="joe@unmistakable.example")
    events = payloads(http, "gateway.UserDescribed")
    (sealed,) = [p for p in events if p["name"] == "joe"]
    assert set(sealed["full_name"]) == set(sealed["email"]) == {"key", "nonce", "ciphertext"}
    assert "nmistakable" not in json.dumps(events)
