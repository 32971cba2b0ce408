"""From MLflow's filter text to conditions: `metrics.loss < 0.5 AND tags.team = 'a' AND run_id IN ('x', 'y')`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from enum import StrEnum

from modelog_gateway.mlflow.filters.tokens import END, Token, Tokens, unquoted


class Kind(StrEnum):
    """What a condition or an order is about."""

    ATTRIBUTE = "attribute"
    METRIC = "metric"
    PARAMETER = "parameter"
    TAG = "tag"
    DATASET = "dataset"


KINDS = {
    "attribute": Kind.ATTRIBUTE, "attributes": Kind.ATTRIBUTE, "attr": Kind.ATTRIBUTE, "run": Kind.ATTRIBUTE,
    "metric": Kind.METRIC, "metrics": Kind.METRIC,
    "parameter": Kind.PARAMETER, "parameters": Kind.PARAMETER, "param": Kind.PARAMETER, "params": Kind.PARAMETER,
    "tag": Kind.TAG, "tags": Kind.TAG,
    "dataset": Kind.DATASET, "datasets": Kind.DATASET,
}  # fmt: skip
NUMERIC = ("=", "!=", "<", "<=", ">", ">=")
TEXTUAL = ("=", "!=", "LIKE", "ILIKE")
LISTED = ("IN", "NOT IN")
NULL = ("IS NULL", "IS NOT NULL")
DATASET_KEYS = ("name", "digest", "context")

Value = str | int | float | tuple[str, ...] | None


@dataclass(frozen=True)
class Condition:
    """`value` is a number, a text, a tuple for IN and NOT IN, None for IS NULL and IS NOT NULL."""

    kind: Kind
    key: str
    operator: str
    value: Value


@dataclass(frozen=True)
class Order:
    kind: Kind
    key: str
    descending: bool = False


@dataclass(frozen=True)
class Vocabulary:
    """What may be searched for: attributes whose values are texts, numbers, and those that take a list (None: all)."""

    texts: Collection[str]
    numbers: Collection[str] = ()
    listed: Collection[str] | None = ()
    kinds: Collection[Kind] = (Kind.ATTRIBUTE, Kind.TAG)
    aliases: dict[str, str] = field(default_factory=dict)

    def operators(self, kind: Kind, key: str) -> tuple[str, ...]:
        """The comparators that fit."""
        match kind:
            case Kind.METRIC:
                return NUMERIC
            case Kind.PARAMETER | Kind.TAG:
                return (*TEXTUAL, *NULL)
            case Kind.DATASET:
                return (*TEXTUAL, *LISTED)
            case Kind.ATTRIBUTE if key in self.numbers:
                return NUMERIC
            case Kind.ATTRIBUTE:
                return (*TEXTUAL, *LISTED) if self.listed is None or key in self.listed else TEXTUAL


def parse_filter(text: str, vocabulary: Vocabulary) -> list[Condition]:
    """The conditions, which all have to hold; raises Invalid, which names the place in the text."""
    tokens = Tokens(text, "filter")
    if tokens.peek().kind == END:
        return []
    found = [_condition(tokens, vocabulary)]
    while tokens.take_word("AND"):
        found.append(_condition(tokens, vocabulary))
    _expect_end(tokens, "expected AND or the end; conditions can be joined by AND only")
    return found


def parse_order(text: str, vocabulary: Vocabulary) -> Order:
    """One entry of an order_by: a name, then ASC (when nothing stands there) or DESC."""
    tokens = Tokens(text, "order_by")
    kind, key = _name(tokens, vocabulary)
    descending = tokens.take_word("DESC")
    if not descending:
        tokens.take_word("ASC")
    _expect_end(tokens, "expected ASC, DESC or the end")
    return Order(kind, key, descending)


def _expect_end(tokens: Tokens, trouble: str) -> None:
    if tokens.peek().kind != END:
        raise tokens.refusal(tokens.peek(), trouble)


def _condition(tokens: Tokens, vocabulary: Vocabulary) -> Condition:
    kind, key = _name(tokens, vocabulary)
    at = tokens.peek()
    operator = _operator(tokens)
    allowed = vocabulary.operators(kind, key)
    if operator not in allowed:
        raise tokens.refusal(at, f"{kind} {key!r} cannot be compared so; allowed: {', '.join(allowed)}")
    if operator in NULL:
        return Condition(kind, key, operator, None)
    if operator in LISTED:
        return Condition(kind, key, operator, _texts(tokens))
    if allowed is NUMERIC:
        return Condition(kind, key, operator, _number(tokens))
    return Condition(kind, key, operator, _text(tokens))


def _name(tokens: Tokens, vocabulary: Vocabulary) -> tuple[Kind, str]:
    token = tokens.take()
    if token.kind not in ("name", "quoted"):
        raise tokens.refusal(token, "expected a name such as metrics.accuracy, params.depth, tags.team or status")
    head, dot, rest = _parts(token)
    if not dot:
        return Kind.ATTRIBUTE, _attribute(tokens, token, unquoted(head), vocabulary)
    kind = KINDS.get(unquoted(head))
    if kind is None or kind not in vocabulary.kinds:
        allowed = ", ".join(f"{kind}." for kind in Kind if kind in vocabulary.kinds)
        raise tokens.refusal(token, f"there is no {unquoted(head)!r} to search by; a name begins with {allowed}")
    key = unquoted(rest)
    if kind is Kind.ATTRIBUTE:
        return kind, _attribute(tokens, token, key, vocabulary)
    if kind is Kind.DATASET and key not in DATASET_KEYS:
        raise tokens.refusal(token, f"a dataset has no {key!r}; there are {', '.join(DATASET_KEYS)}")
    return kind, key


def _parts(token: Token) -> tuple[str, str, str]:
    """What stands before the dot, the dot, and the key after it."""
    if token.text.startswith("`"):
        end = token.text.index("`", 1) + 1
        return token.text[:end], token.text[end : end + 1], token.text[end + 1 :]
    return token.text.partition(".") if token.kind == "name" else (token.text, "", "")


def _attribute(tokens: Tokens, token: Token, written: str, vocabulary: Vocabulary) -> str:
    key = vocabulary.aliases.get(written, written)
    if key not in vocabulary.texts and key not in vocabulary.numbers:
        known = ", ".join(sorted({*vocabulary.texts, *vocabulary.numbers}))
        raise tokens.refusal(token, f"there is no attribute {written!r}; there are {known}")
    return key


def _operator(tokens: Tokens) -> str:
    token = tokens.take()
    if token.kind == "operator":
        return token.text
    if token.kind == "name":
        match token.text.upper():
            case "LIKE" | "ILIKE" | "IN" as word:
                return word
            case "NOT" if tokens.take_word("IN"):
                return "NOT IN"
            case "IS":
                negated = tokens.take_word("NOT")
                if tokens.take_word("NULL"):
                    return "IS NOT NULL" if negated else "IS NULL"
                raise tokens.refusal(tokens.peek(), "expected NULL or NOT NULL after IS")
    raise tokens.refusal(token, f"expected a comparison: {', '.join((*NUMERIC, 'LIKE', 'ILIKE', *LISTED, *NULL))}")


def _number(tokens: Tokens) -> int | float:
    token = tokens.take()
    if token.kind != "number":
        raise tokens.refusal(token, "expected a number")
    return int(token.text) if token.text.lstrip("+-").isdigit() else float(token.text)


def _text(tokens: Tokens) -> str:
    token = tokens.take()
    if token.kind not in ("string", "quoted"):
        raise tokens.refusal(token, "expected a text in quotes, such as 'this'")
    return unquoted(token.text)


def _texts(tokens: Tokens) -> tuple[str, ...]:
    token = tokens.take()
    if token.text != "(" or token.kind != "mark":
        raise tokens.refusal(token, "expected a list such as ('a', 'b')")
    found = [_text(tokens)]
    while tokens.peek().text == ",":
        tokens.take()
        found.append(_text(tokens))
    token = tokens.take()
    if token.text != ")" or token.kind != "mark":
        raise tokens.refusal(token, "expected , or ) in the list")
    return tuple(found)
