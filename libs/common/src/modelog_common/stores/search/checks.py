"""What a search store accepts, the same for every adapter, and the tokens of its pages."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping, Sequence

from modelog_common.domain.errors import Invalid
from modelog_common.stores.search import Document, Query

# Later than any position.
STILL = 1 << 62
LONGEST_NAME = 500
LONGEST_TEXT = 200_000
MOST_TAGS = 200
MOST_FOUND = 1000
MOST_FACETS = 20
# How well one word of a query matches.
TITLE_WORD, TITLE_BEGINNING, ANYWHERE = 3, 2, 1
# How well a document matches, its position and its key: what orders answers.
Place = tuple[int, int, str]


def key_of(document: Document) -> str:
    """What tells a document apart, short enough for any database."""
    parts = "\0".join([document.tenant, document.id, str(document.position)])
    return hashlib.sha256(parts.encode()).hexdigest()[:40]


def tag_of(name: str, value: str) -> str:
    """A tag as one text, which is what is filtered by and counted."""
    return f"{name}={value}"


def tags_of(tags: Mapping[str, str]) -> list[str]:
    """All tags as texts, in order."""
    return sorted(tag_of(name, value) for name, value in tags.items())


def all_text(document: Document) -> str:
    """Everything that words are looked for in."""
    return " ".join([document.title, document.text, *tags_of(document.tags)])


def check_documents(documents: Sequence[Document]) -> None:
    """Raises Invalid for the first document that cannot be stored."""
    for document in documents:
        for field in ("tenant", "id", "kind", "title"):
            _check(field, getattr(document, field), LONGEST_NAME)
        _check("text", document.text, LONGEST_TEXT)
        check_tags(document.tags)


def check_tags(tags: Mapping[str, str]) -> None:
    """Raises Invalid for too many tags, or for one that cannot be stored."""
    if len(tags) > MOST_TAGS:
        raise Invalid.field("tags", f"there are {len(tags)} tags; at most {MOST_TAGS} are allowed")
    for name, value in tags.items():
        _check("tags", name, LONGEST_NAME)
        _check("tags", value, LONGEST_NAME)


def check_query(query: Query) -> None:
    """Raises Invalid for a query that cannot be asked."""
    if not 1 <= query.limit <= MOST_FOUND:
        raise Invalid.field("limit", f"is {query.limit}; from 1 to {MOST_FOUND} are allowed")
    check_tags(query.tags)
    for kind in query.kinds:
        _check("kinds", kind, LONGEST_NAME)
    _check("text", query.text, LONGEST_TEXT)


def token_of(place: Place) -> str:
    """The token of the page that comes after a place."""
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode()


def place_of(token: str) -> Place | None:
    """The place that a token names; raises Invalid for any other text."""
    if not token:
        return None
    try:
        score, position, key = json.loads(base64.urlsafe_b64decode(token))
        return int(score), int(position), str(key)
    except (binascii.Error, ValueError, TypeError):
        raise Invalid.field("after", "is not a token that an earlier answer gave") from None


def _check(field: str, text: str, longest: int) -> None:
    if len(text) > longest:
        raise Invalid.field(field, f"{text[:20]!r}... has {len(text)} characters; at most {longest} are allowed")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Invalid.field(field, f"{text[:20]!r} holds half a character; any other text is allowed") from None
    if "\0" in text:
        raise Invalid.field(field, f"{text[:20]!r} holds a zero byte; any other text is allowed")
