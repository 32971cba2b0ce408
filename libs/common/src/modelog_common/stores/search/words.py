"""Texts as words, made here and not by a database: each adapter finds the same, and no text is a command to it."""

from __future__ import annotations

import re
import unicodedata

from modelog_common.domain.errors import Invalid

MOST_WORDS = 20
# Longer ones are told apart by their beginning.
LONGEST_WORD = 60
# A number with points is one word: 1.0.0 is not 0.1.0.
_WORD = re.compile(r"\d+(?:\.\d+)+|[^\W_]+")


def words_of(text: str) -> list[str]:
    """The words of a text in order: letters and digits, without case and accents, and numbers with points."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    bare = "".join(c for c in plain if not unicodedata.combining(c))
    return [word[:LONGEST_WORD] for word in _WORD.findall(bare)]


def wanted_words(text: str) -> list[str]:
    """The words to look for; raises Invalid when there are too many, or nothing but signs."""
    found = words_of(text)
    if len(found) > MOST_WORDS:
        raise Invalid.field("text", f"has {len(found)} words; at most {MOST_WORDS} are allowed")
    if text.strip() and not found:
        raise Invalid.field("text", f"{text[:40]!r} holds no word; letters or digits are looked for")
    return found
