"""What every name must be, in whatever script it is written."""

from __future__ import annotations

import unicodedata

from modelog_common.domain.errors import Invalid


def check_name(name: str, field: str) -> None:
    """Refuse a name that looks like another one on a screen; raises Invalid, naming `field`."""
    if name != name.strip():
        raise Invalid.field(field, f"{name!r} begins or ends with white space; leave it out")
    control = next((c for c in name if unicodedata.category(c) == "Cc"), None)
    if control is not None:
        raise Invalid.field(field, f"{name!r} holds the control character {control!r}; use printable ones")


def check_model_name(name: str, field: str) -> None:
    """As `check_name`, and fit to be a part of an address."""
    check_name(name, field)
    if name.strip(".") == "":
        raise Invalid.field(field, f"{name!r} means a folder in an address; use letters or digits too")
