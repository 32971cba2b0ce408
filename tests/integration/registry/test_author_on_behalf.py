"""A version that a service registers for somebody is theirs, so that they cannot approve it themselves."""

from __future__ import annotations

from typing import Any

import pytest
from modelog_common.domain.errors import NotAllowed


@pytest.fixture
def training(registry: Any) -> Any:
    return registry.person("service:training", "service")


async def test_a_version_belongs_to_whoever_asked_the_service_for_it(training: Any) -> None:
    await training.model()
    await training.upload()
    version = await training.version(tags={"submitted_by": "alice"})
    assert version.author == "alice"


async def test_whoever_asked_for_it_may_not_approve_it(training: Any, alice: Any, bob: Any) -> None:
    await training.model()
    await training.upload()
    await training.version(tags={"submitted_by": "alice"})
    with pytest.raises(NotAllowed, match=r"alice registered flight-delay 1\.0\.0 and may not approve it"):
        await alice.review("1.0.0")
    reviewed = await bob.review("1.0.0")
    assert [review.reviewer for review in reviewed.reviews] == ["bob"]


async def test_a_person_cannot_put_a_version_under_anothers_name(alice: Any) -> None:
    await alice.model()
    await alice.upload()
    version = await alice.version(tags={"submitted_by": "bob"})
    assert version.author == "alice"


async def test_a_service_that_says_nobodys_name_is_the_author(training: Any) -> None:
    await training.model()
    await training.upload()
    assert (await training.version()).author == "service:training"
