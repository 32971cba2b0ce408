"""The names of topics: one of each kind for each tenant."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelog_common.bus.topics import (
    EVENTS,
    INFERENCE_REQUESTS,
    LONGEST_NAME,
    OUTCOMES,
    PREDICTIONS,
    events_topics,
    sender_of,
    service_of,
    tenant_in,
)
from modelog_common.domain.errors import Invalid

FAMILIES = (*EVENTS.values(), INFERENCE_REQUESTS, PREDICTIONS, OUTCOMES)
TENANTS = st.text(max_size=12)


def test_a_tenants_events_travel_on_topics_of_its_own() -> None:
    assert EVENTS["registry"].of("acme").name == "modelog.acme.events.registry"
    assert PREDICTIONS.of("acme").dead.name == "modelog.acme.predictions.dead"
    assert service_of("registry.model-1-2") == "registry"


def test_events_of_no_service_have_no_topics() -> None:
    with pytest.raises(ValueError, match="'shop' is not a service; allowed are registry, training"):
        events_topics("shop")


@given(TENANTS, TENANTS)
def test_a_topic_names_one_tenant_and_no_other(one: str, other: str) -> None:
    names = {family.of(one).name for family in FAMILIES}
    assert len(names) == len(FAMILIES)
    assert {tenant_in(name) for name in names} == {one}
    for family in FAMILIES:
        assert [f for f in FAMILIES if f.has(family.of(one).name)] == [family]
        assert family.tenant_of(family.of(one).name) == one
        assert not family.has(family.of(one).dead.name)
        assert (family.of(one) == family.of(other)) == (one == other)
        assert set(family.of(one).name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")


@given(TENANTS, TENANTS, TENANTS, TENANTS)
def test_no_producer_is_counted_as_another_tenants(one: str, mine: str, other: str, theirs: str) -> None:
    assert (sender_of(one, mine) == sender_of(other, theirs)) == ((one, mine) == (other, theirs))


def test_a_tenant_whose_name_is_too_long_is_refused() -> None:
    with pytest.raises(Invalid, match=f"too long for a topic's name; {LONGEST_NAME} is most"):
        OUTCOMES.of("a" * 250)


def test_what_is_no_topic_of_ours_is_nobodys() -> None:
    assert tenant_in("somebody-elses") == ""
    for name in ("modelog.outcomes", "modelog..outcomes", "modelog.a.b.outcomes", "modelog._ff.outcomes", "other"):
        assert not OUTCOMES.has(name), name
