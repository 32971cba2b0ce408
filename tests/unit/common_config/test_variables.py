"""Settings that are environment variables: read, checked all at once, kept."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import pytest
from modelog_common.domain.errors import Invalid
from modelog_common.variables import MISSING, Problem, Secret, Variables, checked
from msgspec import Meta


class Oven(Variables, prefix="OVEN_"):
    unrepeated = ("owner",)

    degrees: Annotated[int, Meta(ge=50, le=300, description="from 50 to 300")]
    mode: Literal["fan", "grill"] = "fan"
    shelf: int | Literal["top"] = 1
    light: bool = True
    owner: Annotated[str, Meta(min_length=2)] = "nobody"
    pin: Secret = Secret("")
    recipe: Path | None = None
    names: Annotated[dict[str, str], Meta(description="JSON of names")] = {}  # noqa: RUF012 - each gets its own

    @checked("shelf")
    def _not_beside_the_grill(self, shelf: int | str) -> int | str:
        if self.mode == "grill" and shelf == "top":
            raise ValueError("it is where the grill is")
        return shelf

    def together(self) -> list[Problem]:
        return [Problem("recipe", MISSING, "is not set at 300")] if self.degrees == 300 and not self.recipe else []


@pytest.fixture(autouse=True)
def hot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OVEN_DEGREES", "180")


def refused(**given: object) -> str:
    with pytest.raises(Invalid) as error:
        Oven.read(**given)  # type: ignore[arg-type]
    return str(error.value).removeprefix("wrong settings: ")


def test_what_is_given_goes_before_the_environment_and_that_before_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OVEN_MODE", "grill")
    monkeypatch.setenv("OVEN_OWNER", "")
    file = {"OVEN_MODE": "fan", "OVEN_OWNER": "alice", "OVEN_SHELF": "2", "OTHER": "1"}
    oven = Oven.read(file, degrees=200)
    assert (oven.degrees, oven.mode, oven.owner, oven.shelf) == (200, "grill", "alice", 2)
    with pytest.raises(Invalid, match="OVEN_DEGREES is not set; allowed: from 50 to 300"):
        Oven()


@pytest.mark.parametrize(("text", "is_on"), [("yes", True), ("Off", False), ("1", True), ("false", False)])
def test_a_switch(monkeypatch: pytest.MonkeyPatch, text: str, is_on: bool) -> None:
    monkeypatch.setenv("OVEN_LIGHT", text)
    assert Oven.read().light is is_on


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("DEGREES", "301", 'OVEN_DEGREES is "301": it must be a whole number <= 300; allowed: from 50 to 300'),
        ("MODE", "steam", 'OVEN_MODE is "steam": it must be one of fan, grill'),
        ("SHELF", "x", 'OVEN_SHELF is "x": it must be one of top or a whole number'),
        ("LIGHT", "dim", 'OVEN_LIGHT is "dim": it must be true or false'),
        ("OWNER", "x", "OVEN_OWNER is wrong: it must be text of length >= 2"),
        ("NAMES", "{", "OVEN_NAMES is not JSON; allowed: JSON of names"),
        ("NAMES", "[1]", "OVEN_NAMES is [1]: it must be a JSON object; allowed: JSON of names"),
        ("NAMES", '{"a": 1}', 'OVEN_NAMES is {"a":1}: it must be text; allowed: JSON of names'),
        ("DEGREES", "300", "OVEN_RECIPE is not set at 300"),
    ],
)
def test_what_is_wrong_is_told(monkeypatch: pytest.MonkeyPatch, name: str, text: str, said: str) -> None:
    monkeypatch.setenv(f"OVEN_{name}", text)
    assert refused() == said


def test_all_that_is_wrong_is_told_at_once() -> None:
    assert refused(degrees=1, shelf="top", mode="grill") == (
        'OVEN_DEGREES is 1: it must be a whole number >= 50; allowed: from 50 to 300; OVEN_SHELF is "top": '
        "it is where the grill is"
    )


def test_secrets_are_not_shown() -> None:
    oven = Oven(degrees=180, pin="1234", owner="alice", recipe="bread.md")
    assert oven.pin == Secret("1234")
    assert oven.pin.get_secret_value() == "1234"
    assert repr(oven) == (
        "Oven(degrees=180, mode='fan', shelf=1, light=True, pin=Secret('**********'), recipe=PosixPath('bread.md'), "
        "names={})"
    )


def test_they_do_not_change_but_others_are_made_of_them() -> None:
    oven = Oven(degrees=180, names={"a": "b"})
    with pytest.raises(AttributeError):
        oven.degrees = 200  # type: ignore[misc]
    other = oven.changed(degrees=200)
    assert (other.degrees, other.names, oven.degrees) == (200, {"a": "b"}, 180)
    assert other.changed(degrees=180) == oven
    with pytest.raises(Invalid, match="OVEN_DEGREES"):
        oven.changed(degrees=20)
    with pytest.raises(TypeError, match="no setting 'smell'"):
        Oven(degrees=180, smell="good")  # type: ignore[call-arg]
