"""The words of MLflow's filter language, each with its place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from modelog_common.domain.errors import Invalid

# A name may have one part after a dot: the key, which is everything up to the next blank or stands in quotes.
TOKEN = re.compile(
    r"""(?P<string>'(?:''|[^'])*')
      | (?P<name>(?:[^\W\d]\w*|`[^`]*`)(?:\.(?:`(?:``|[^`])*`|"(?:""|[^"])*"|[\w.]+))?)
      | (?P<quoted>"(?:""|[^"])*")
      | (?P<number>[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?)(?![\w.])
      | (?P<operator><=|>=|!=|<>|==|=|<|>)
      | (?P<mark>[(),])
    """,
    re.VERBOSE,
)
BLANKS = re.compile(r"\s*")
SHOWN = 30
END = "end"


@dataclass(frozen=True)
class Token:
    """`kind` is the name of the group of TOKEN, or END; `at` counts characters from 0."""

    kind: str
    text: str
    at: int

    def is_word(self, word: str) -> bool:
        return self.kind == "name" and self.text.upper() == word


class Tokens:
    """A text read word by word; `field` is what errors call it."""

    def __init__(self, text: str, field: str) -> None:
        self._text, self._field = text, field
        self._ahead = list(self._read())
        self._next = 0

    def peek(self) -> Token:
        return self._ahead[self._next]

    def take(self) -> Token:
        token = self._ahead[self._next]
        self._next = min(self._next + 1, len(self._ahead) - 1)
        return token

    def take_word(self, word: str) -> bool:
        """Take the next token if it is this keyword."""
        found = self.peek().is_word(word)
        if found:
            self.take()
        return found

    def refusal(self, token: Token, trouble: str) -> Invalid:
        """An error that names the place."""
        near = "at its end" if token.kind == END else f"at character {token.at + 1}, {token.text[:SHOWN]!r}"
        return Invalid.field(self._field, f"{near}: {trouble}")

    def _read(self) -> Iterator[Token]:
        at = self._past_blanks(0)
        while at < len(self._text):
            match = TOKEN.match(self._text, at)
            if match is None:
                rest = Token("rest", self._text[at:].split()[0], at)
                if rest.text[0] in "'\"`":
                    raise self.refusal(rest, "the quote is not closed")
                raise self.refusal(
                    rest, "is not part of the language; a key with such a character stands in backquotes"
                )
            yield Token(str(match.lastgroup), match[0], at)
            at = self._past_blanks(match.end())
        yield Token(END, "", at)

    def _past_blanks(self, at: int) -> int:
        match = BLANKS.match(self._text, at)
        return match.end() if match else at


def unquoted(text: str) -> str:
    """What stands in the quotes, a doubled quote as one; a text without quotes as it is."""
    quote = text[:1]
    if len(text) >= 2 and quote in ("'", '"', "`") and text[-1] == quote:
        return text[1:-1].replace(quote * 2, quote)
    return text
