"""Which platform the SDK talks to, and as whom."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import modelog
import pytest
from modelog.config import profile_path, read_profile, resolve, write_profile


@pytest.fixture(autouse=True)
def profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("MODELOG_URL", "MODELOG_TOKEN", "MODELOG_USER"):
        monkeypatch.delenv(name, raising=False)
    file = tmp_path / "deep" / "profile.json"
    monkeypatch.setenv("MODELOG_PROFILE", str(file))
    return file


def test_arguments_go_before_environment_before_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    write_profile({"url": "http://profile", "user": "ann", "users": {"ann": "t-ann", "bob": "t-bob"}})
    assert resolve(None, None, None) == ("http://profile", "t-ann")
    assert resolve(None, None, "bob") == ("http://profile", "t-bob")
    monkeypatch.setenv("MODELOG_USER", "bob")
    assert resolve(None, None, None) == ("http://profile", "t-bob")
    monkeypatch.setenv("MODELOG_URL", "http://environment")
    monkeypatch.setenv("MODELOG_TOKEN", "t-environment")
    assert resolve(None, None, None) == ("http://environment", "t-environment")
    assert resolve("http://argument", "t", None) == ("http://argument", "t")


def test_what_is_missing_is_said_with_the_way_to_set_it() -> None:
    with pytest.raises(modelog.Unavailable, match="modelog up"):
        resolve(None, "t", None)
    with pytest.raises(modelog.Unauthenticated, match=r"^no token is known; set MODELOG_TOKEN"):
        resolve("http://x", None, None)
    with pytest.raises(modelog.Unauthenticated, match="no token for user 'eve' is known"):
        modelog.connect("http://x", user="eve")


def test_the_profile_is_readable_by_its_owner_only(profile: Path) -> None:
    assert read_profile() == {}
    assert write_profile({"url": "a"}) == profile == profile_path()
    assert stat.S_IMODE(profile.stat().st_mode) == 0o600
    assert json.loads(profile.read_text()) == {"url": "a"}
    profile.write_text("{")
    with pytest.raises(modelog.Unavailable, match="is not JSON"):
        read_profile()


def test_without_a_setting_the_profile_is_in_the_home_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MODELOG_PROFILE")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert profile_path() == tmp_path / ".modelog" / "profile.json"
