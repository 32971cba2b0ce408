"""Model cards: what is made of what is known, checked against the toolkit's schema, and pages that can do no harm."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft7Validator
from modelog_common.domain.errors import Invalid, NotFound
from modelog_common.domain.semver import SemanticVersion
from modelog_common.testing.scenario import NOW, scenario
from modelog_proto.common.v1 import common_pb2 as common
from modelog_proto.registry.v1 import card_pb2, dataset_pb2, experiment_pb2, model_pb2
from modelog_registry.artifact import Artifact
from modelog_registry.card.build import Known, Metric, card_of, facts_of, metrics_of, missing_of
from modelog_registry.card.page import as_html, as_markdown
from modelog_registry.card.plots import curve_of, mark_of
from modelog_registry.model.card import CardEdited, CardParts, CardRisk, EditCard, License, Owner
from modelog_registry.model.decide import MODEL
from modelog_registry.model.events import ModelEvent, ModelRegistered, VersionRegistered
from modelog_registry.model.signature import Signature, Tensor

SCHEMA = Draft7Validator(json.loads(Path(__file__).with_name("model_card.schema.json").read_text()))
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
V1 = SemanticVersion(1, 0, 0)
REGISTERED: list[ModelEvent] = [
    ModelRegistered("m", "m", "", "alice", {}, NOW),
    VersionRegistered(
        "m", "m", "1.0.0", "alice", "", "", (), "xgboost", Artifact("f", "a" * 64, 1),
        Signature((Tensor("x", "FP32"),), (Tensor("y", "FP32"),)), {}, {}, "r", NOW,
    ),
]  # fmt: skip


def known(**written: Any) -> Known:
    version = model_pb2.ModelVersion(
        model="flight-delay", version="1.0.0", stage=model_pb2.STAGE_STAGING, author="alice", flavor="xgboost",
        run_id="r 1", datasets=[common.DatasetRef(dataset="flights", version=2)], position=7,
        metrics={"auc": 0.7, "auc_lower": 0.68, "auc_upper": 0.72, "loss": 12.5}, tags={"license": "Apache-2.0"},
        signature=model_pb2.Signature(
            inputs=[model_pb2.TensorSpec(name="x", datatype="FP32", shape=[-1, 2], columns=["hour", "wind"])]
        ),
        environment=model_pb2.ModelEnvironment(python="3.11", packages={"xgboost": "3.2"}),
        source="https://example.com/m",
    )  # fmt: skip
    version.hyperparameters.update({"depth": 6})
    run = experiment_pb2.Run(id="r 1", name="first", experiment="delays")
    for step in range(5):
        run.points.append(experiment_pb2.MetricPoint(name="loss", step=step, value=1 / (step + 1)))
    return Known(
        model_pb2.Model(name="flight-delay", description="Will it be late?"),
        version,
        card_pb2.ModelCard(parts=card_pb2.CardParts(**written)),
        [dataset_pb2.DatasetVersion(dataset="flights", version=2, label="2013", rows=27004, digest="b" * 64)],
        run,
    )


def test_a_card_is_filled_by_what_is_known() -> None:
    card = card_of(known())
    SCHEMA.validate(card)
    assert card["model_details"]["overview"] == "Will it be late?"
    assert card["model_details"]["owners"] == [{"name": "alice"}]
    assert card["model_details"]["licenses"] == [{"identifier": "Apache-2.0"}]
    assert [r["reference"] for r in card["model_details"]["references"]] == [
        "urn:modelog:run:r%201",
        "urn:modelog:dataset:flights:2",
        "https://example.com/m",
    ]
    assert card["model_parameters"]["model_architecture"] == "xgboost: depth=6"
    assert card["model_parameters"]["data"][0]["name"] == "flights 2"
    assert card["quantitative_analysis"]["performance_metrics"] == [
        {"type": "auc", "value": "0.7", "confidence_interval": {"lower_bound": "0.68", "upper_bound": "0.72"}},
        {"type": "loss", "value": "12.5"},
    ]
    assert missing_of(known()) == ["use_cases", "limitations", "ethical_considerations"]
    facts = facts_of(known())
    assert (facts["stage"], facts["environment"]["python"], facts["run"]["name"]) == ("staging", "3.11", "first")


def test_what_people_wrote_comes_first() -> None:
    card = card_of(known(
        overview="Late or not", owners=[card_pb2.CardOwner(name="air team")], limitations=["snow"],
        licenses=[card_pb2.CardLicense(custom_text="ask us")], references=["https://example.com/paper"],
        ethical_considerations=[card_pb2.CardRisk(name="blame", mitigation_strategy="a person decides")],
    ))  # fmt: skip
    SCHEMA.validate(card)
    assert card["model_details"]["overview"] == "Late or not"
    assert card["model_details"]["owners"] == [{"name": "air team"}]
    assert card["model_details"]["licenses"] == [{"custom_text": "ask us"}]
    assert card["considerations"]["limitations"] == [{"description": "snow"}]


@given(TEXTS, st.lists(TEXTS, max_size=2), st.dictionaries(TEXTS, st.floats(allow_nan=False), max_size=4))
def test_any_words_and_figures_make_a_sound_card_and_page(
    text: str, texts: list[str], metrics: dict[str, float]
) -> None:
    one = known(overview=text, documentation=text, use_cases=texts, model_architecture=text)
    one.version.metrics.clear()
    one.version.metrics.update(metrics)
    SCHEMA.validate(card_of(one))
    Page.of(as_html(one))
    as_markdown(one)


class Page(HTMLParser):
    """What stands in a page: its tags with their attributes, and what nests wrongly."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._open: list[str] = []

    @classmethod
    def of(cls, html: str) -> Page:
        page = cls()
        page.feed(html)
        page.close()
        assert not page._open, f"not closed: {page._open}"
        return page

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "br", "hr", "img", "line", "circle", "polyline"):
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag


def test_a_page_needs_nothing_from_elsewhere_and_speaks_to_all() -> None:
    one = known(use_cases=["plan *turns*"], references=["https://example.com/paper"], documentation="# A\n\n## B")
    assert one.run is not None
    page = Page.of(as_html(one, one.run.points))
    names = [tag for tag, _ in page.tags]
    assert not {"script", "link", "iframe", "img", "object", "form"} & set(names)
    assert not any(name.startswith("on") or name in ("src", "srcset") for _, given in page.tags for name in given)
    assert next(given for tag, given in page.tags if tag == "html")["lang"] == "en"
    assert names.count("h1") == names.count("main") == names.count("title") == 1
    assert names.count("table") == names.count("caption")
    assert all("scope" in given for tag, given in page.tags if tag == "th")
    plots = [given for tag, given in page.tags if tag == "svg"]
    assert len(plots) == 2
    assert all(plot["role"] == "img" and plot["aria-label"] for plot in plots)
    levels = [int(name[1]) for name in names if name in ("h1", "h2", "h3", "h4", "h5", "h6")]
    assert levels.count(1) == 1
    assert 5 in levels, "headings that people write stand below those of the page"
    assert all(after <= before + 1 for before, after in pairwise(levels))
    ids = [given["id"] for _, given in page.tags if "id" in given]
    assert len(ids) == len(set(ids))
    policy = next(given["content"] for tag, given in page.tags if tag == "meta" and "http-equiv" in given)
    assert "default-src 'none'" in str(policy)


def test_what_people_write_can_do_no_harm() -> None:
    evil = "<script>alert(1)</script> [x](javascript:alert(1)) ![i](https://example.com/t.png) <img src=x onerror=y>"
    html = as_html(known(overview=evil, documentation=evil, limitations=[evil], model_architecture=evil))
    page = Page.of(html)
    assert not {"script", "img"} & {tag for tag, _ in page.tags}
    assert not [given for tag, given in page.tags if tag == "a" and "javascript" in str(given.get("href"))]
    assert "&lt;script&gt;" in html


def test_plots_show_what_can_be_shown() -> None:
    assert mark_of(Metric("auc", 0.5, 0.4, 0.6)) is not None
    for metric in (Metric("a", 1.0), Metric("a", -1.0, -2.0, 0.0), Metric("a", float("inf"), 0.0, 1.0)):
        assert mark_of(metric) is None
    assert curve_of("a", [(1, 1.0), (2, float("nan")), (3, 2.0)]) is None
    flat = curve_of("a", [(n, 1.0) for n in range(3)])
    assert flat is not None
    long = curve_of("a", [(n, float(n % 7)) for n in range(5000)])
    assert long is not None
    assert len(long.line.split()) < 500
    assert metrics_of({"auc_lower": 0.1}) == [Metric("auc_lower", 0.1)]


def edited(parts: CardParts, cleared: tuple[str, ...] = ()) -> CardEdited:
    return CardEdited("m", "m", "1.0.0", parts, cleared, "alice", NOW)


def test_parts_are_written_one_by_one() -> None:
    first = CardParts(overview="a", limitations=("snow",), owners=(Owner("air"),))
    given = [*REGISTERED, edited(first)]
    scenario(MODEL, given=REGISTERED, when=EditCard("m", V1, first), then=[edited(first)])
    scenario(MODEL, given=given, when=EditCard("m", V1, CardParts(overview="a")), then=[])
    more = CardParts(limitations=("fog",))
    model = scenario(MODEL, given=given, when=EditCard("m", V1, more, ("owners",)), then=[edited(more, ("owners",))])
    assert model.versions[V1].card == CardParts(overview="a", limitations=("fog",))


def second(number: str = "1.1.0") -> VersionRegistered:
    first = REGISTERED[1]
    assert isinstance(first, VersionRegistered)
    return msgspec.structs.replace(first, version=number, request_id=number)


def test_what_was_written_for_another_version_is_taken_over_on_demand() -> None:
    first = CardParts(overview="a", limitations=("snow",), diff="the first", owners=(Owner("air"),), users=("crews",))
    given = [*REGISTERED, edited(first), second(), second("1.2.0")]
    into = SemanticVersion(1, 2, 0)
    own = CardEdited("m", "m", "1.2.0", CardParts(limitations=("fog",)), (), "bob", NOW)

    def taken(parts: CardParts, cleared: tuple[str, ...] = ()) -> CardEdited:
        return CardEdited("m", "m", "1.2.0", parts, cleared, "alice", NOW, "1.0.0")

    written = CardParts(diff="more data", overview="b")
    whole = CardParts(diff="more data", overview="b", owners=(Owner("air"),))
    # Of the last version that has a card: not what is written here, written now or cleared, nor what changed before.
    for source in ("last", "1.0.0"):
        command = EditCard("m", into, written, ("users",), source)
        model = scenario(MODEL, given=[*given, own], when=command, then=[taken(whole, ("users",))])
        assert model.versions[into].card == msgspec.structs.replace(whole, limitations=("fog",))
        assert model.versions[into].card_taken_from == "1.0.0"
    scenario(MODEL, given=[*given, taken(first)], when=EditCard("m", into, CardParts(), (), "last"), then=[])
    later = scenario(
        MODEL,
        given=[*given, taken(whole)],
        when=EditCard("m", into, CardParts(overview="c")),
        then=[CardEdited("m", "m", "1.2.0", CardParts(overview="c"), (), "alice", NOW)],
    )
    assert later.versions[into].card_taken_from == "1.0.0"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("last", "is last, and no version before m 1.1.0 has a card that was written"),
        ("1.1.0", "whose card it is; name another version"),
        ("1.0.0", "in whose card nobody has written anything"),
        ("first", "'first' is not a semantic version"),
    ],
)
def test_a_card_that_cannot_be_taken_over(source: str, said: str) -> None:
    command = EditCard("m", SemanticVersion(1, 1, 0), CardParts(), (), source)
    given = [*REGISTERED, second()]
    scenario(MODEL, given=given, when=command, refused=said, error=Invalid, field="from_version")
    gone = EditCard("m", SemanticVersion(1, 1, 0), CardParts(), (), "9.0.0")
    scenario(MODEL, given=given, when=gone, refused="m has no version 9.0.0", error=NotFound)


@pytest.mark.parametrize(
    ("command", "field"),
    [
        (EditCard("m", V1, CardParts(), ("colour",)), "cleared[0]"),
        (EditCard("m", V1, CardParts(diff="x"), ("diff",)), "cleared[0]"),
        (EditCard("m", V1, CardParts(licenses=(License(),))), "parts.licenses[0]"),
        (EditCard("m", V1, CardParts(licenses=(License("MIT", "x"),))), "parts.licenses[0]"),
        (EditCard("m", V1, CardParts(references=("https://x.example", "javascript:alert(1)"))), "parts.references[1]"),
        (EditCard("m", V1, CardParts(references=("https://[",))), "parts.references[0]"),
        (EditCard("m", V1, CardParts(users=("a", ""))), "parts.users[1]"),
    ],
)
def test_what_cannot_be_written(command: EditCard, field: str) -> None:
    scenario(MODEL, given=REGISTERED, when=command, refused=field, error=Invalid, field=field)


def test_a_risk_may_have_no_strategy_yet() -> None:
    parts = CardParts(ethical_considerations=(CardRisk("blame"),))
    scenario(MODEL, given=REGISTERED, when=EditCard("m", V1, parts), then=[edited(parts)])
