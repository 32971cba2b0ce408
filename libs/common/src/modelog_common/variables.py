"""Settings that are environment variables: a class says which there are, and is told by all that is wrong at once.

class Settings(Variables, prefix="MODELOG_"):
    grpc_port: Annotated[int, Meta(ge=0, le=65535, description="a port from 0 to 65535")] = 0

    @checked("grpc_port")
    def _even(self, port: int) -> int: ...    # fields before this one are there; what it returns is kept

Settings.read()                  # from MODELOG_GRPC_PORT; raises Invalid
Settings(grpc_port=8080)         # the same, without looking at the environment
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import (
    Annotated,
    Any,
    ClassVar,
    Literal,
    NamedTuple,
    Self,
    TypeVar,
    dataclass_transform,
    get_args,
    get_origin,
)
from typing import get_type_hints as hints_of

import msgspec

from modelog_common.domain.errors import FieldViolation, Invalid

F = TypeVar("F", bound=Callable[..., Any])
YES, NO = ("yes", "on", "y", "t"), ("no", "off", "n", "f")
# As people call them, for msgspec's names.
NAMES = {"`int`": "a whole number", "`float`": "a number", "`bool`": "true or false", "`str`": "text"}
MISSING: Any = object()


class Secret:
    """Text that is shown to nobody who prints it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def get_secret_value(self) -> str:
        """The text itself."""
        return self._text

    def __repr__(self) -> str:
        return "Secret('**********')" if self._text else "Secret('')"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)


class Field(NamedTuple):
    """What is known of one setting: its type for msgspec, what it is when nobody sets it, what it allows, in words."""

    type: Any
    default: Any
    description: str

    @property
    def is_text(self) -> bool:
        """Whether it is written as it is; otherwise a variable may have JSON of it."""
        return get_origin(_bare(self.type)) is not dict


class Problem(NamedTuple):
    """What is wrong with a field; `found` is MISSING where it is not set."""

    field: str
    found: Any
    why: str


def checked(*fields: str) -> Callable[[F], F]:
    """Marks a method that looks at the value of these fields and returns what is kept; it raises ValueError."""

    def mark(check: F) -> F:
        check.__dict__["checked_fields"] = fields
        return check

    return mark


@dataclass_transform(kw_only_default=True, frozen_default=True)
class Variables:
    """Values that were checked, by name; they do not change. Raises Invalid with all that is wrong with them."""

    prefix: ClassVar[str]
    # Fields whose value is not repeated, neither in errors nor when the settings are printed.
    unrepeated: ClassVar[tuple[str, ...]] = ()
    fields: ClassVar[dict[str, Field]]
    _checks: ClassVar[dict[str, list[str]]]

    def __init_subclass__(cls, prefix: str) -> None:
        cls.prefix, cls._checks = prefix, {}
        hints = hints_of(cls, include_extras=True)
        names = [name for name, hint in hints.items() if get_origin(hint) is not ClassVar]
        cls.fields = {name: _field(hints[name], cls.__dict__.get(name, MISSING)) for name in names}
        for name, found in cls.__dict__.items():
            for field in getattr(found, "checked_fields", ()):
                cls._checks.setdefault(field, []).append(name)

    def __init__(self, **given: Any) -> None:
        if unknown := given.keys() - self.fields:
            raise TypeError(f"{type(self).__name__} has no setting {min(unknown)!r}")
        problems, wanted = list[Problem](), self.derived(given)
        for name, field in self.fields.items():
            value = wanted.get(name, field.default)
            # What is wrong is looked at by the checks of others as if it were not set.
            kept = field.default
            try:
                if value is MISSING:
                    raise ValueError("is not set")
                kept = self._checked(name, _converted(value, field))
            except ValueError as error:
                problems.append(Problem(name, value, str(error)))
            object.__setattr__(self, name, kept)
        problems += [] if problems else self.together()
        if problems:
            raise self._wrong(problems)

    def derived(self, given: dict[str, Any]) -> dict[str, Any]:
        """What is given, and what follows from it; for classes that know of such."""
        return given

    def together(self) -> list[Problem]:
        """What is wrong with values that are right each by itself; for classes that know of such."""
        return []

    @classmethod
    def read(cls, file: Mapping[str, str | None] | None = None, **given: Any) -> Self:
        """From the environment, or else the variables of a `file`; what is `given` goes before both.

        An empty variable is one that is not set. Raises Invalid.
        """
        found: dict[str, Any] = {}
        problems, told = [], file or {}
        for name, field in cls.fields.items():
            variable = cls.variable(name)
            text = os.environ.get(variable) or told.get(variable)
            if not text or name in given:
                continue
            try:
                found[name] = text if field.is_text else msgspec.json.decode(text)
            except msgspec.DecodeError:
                problems.append(Problem(name, text, "is not JSON"))
        if problems:
            raise cls._wrong(problems)
        return cls(**(found | given))

    @classmethod
    def variable(cls, field: str) -> str:
        """The environment variable of a field."""
        return cls.prefix + field.upper()

    @classmethod
    def allowed(cls, field: str) -> str:
        """What a field allows, as the second half of an error message."""
        return f"allowed: {cls.fields[field].description or 'text'}"

    @classmethod
    def _wrong(cls, problems: Iterable[Problem]) -> Invalid:
        """The variables, what was wrong with them and what they allow."""
        violations = [cls._violation(problem) for problem in problems]
        return Invalid("wrong settings: " + "; ".join(f"{v.field} {v.description}" for v in violations), violations)

    @classmethod
    def _violation(cls, problem: Problem) -> FieldViolation:
        name, found, why = problem
        may = f"; {cls.allowed(name)}" if cls.fields[name].description else ""
        if why.startswith("is ") or found is MISSING:
            return FieldViolation(cls.variable(name), why + may)
        secret = name in cls.unrepeated or _bare(cls.fields[name].type) is Secret
        shown = "wrong" if secret else msgspec.json.encode(found, enc_hook=str).decode()[:80]
        return FieldViolation(cls.variable(name), f"is {shown}: {why}{may}")

    def values(self) -> dict[str, Any]:
        """All of them, by name."""
        return {name: getattr(self, name) for name in self.fields}

    def changed(self, **values: Any) -> Self:
        """The same, but for these."""
        return type(self)(**(self.values() | values))

    def _checked(self, name: str, value: Any) -> Any:
        for check in self._checks.get(name, ()):
            value = getattr(self, check)(value)
        return value

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"settings do not change; {name} is what it was at the start")

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self.values() == other.values()

    def __hash__(self) -> int:
        return hash(tuple(map(repr, self.values().items())))

    def __repr__(self) -> str:
        shown = (f"{name}={value!r}" for name, value in self.values().items() if name not in self.unrepeated)
        return f"{type(self).__name__}({', '.join(shown)})"


def _field(hint: Any, default: Any) -> Field:
    metas = [meta for meta in get_args(hint)[1:] if isinstance(meta, msgspec.Meta)] if _annotated(hint) else []
    return Field(hint, default, next((meta.description for meta in metas if meta.description), ""))


def _annotated(hint: Any) -> bool:
    return get_origin(hint) is Annotated


def _bare(hint: Any) -> Any:
    return get_args(hint)[0] if _annotated(hint) else hint


def _converted(value: Any, field: Field) -> Any:
    """As the field's type, from text or what already is of it; raises ValueError."""
    if isinstance(value, str) and _bare(field.type) is bool:
        value = True if value.lower() in YES else False if value.lower() in NO else value
    try:
        return msgspec.convert(value, field.type, strict=False, dec_hook=_made)
    except msgspec.ValidationError as error:
        raise ValueError(_in_words(str(error), field)) from None


def _made(kind: Any, value: Any) -> Any:
    if isinstance(value, kind):
        return value
    if not isinstance(value, str | os.PathLike):
        raise ValueError("it must be text")
    return kind(value)


def _in_words(said: str, field: Field) -> str:
    """What msgspec says, for people who know no Python."""
    if said.startswith("Invalid enum value"):
        bare = _bare(field.type)
        kinds = [bare] if get_origin(bare) is Literal else get_args(bare)
        choices = [choice for kind in kinds for choice in get_args(kind)]
        return f"it must be one of {', '.join(choices)}" + (" or a whole number" if int in kinds else "")
    said = said.partition(", got ")[0].partition(" - at ")[0]
    for name, words in NAMES.items():
        said = said.replace(name, words)
    return said.replace("`object`", "a JSON object").replace("Expected", "it must be", 1)
