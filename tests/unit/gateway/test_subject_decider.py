"""The rules about subjects: an erasure is told once."""

from __future__ import annotations

from modelog_common.testing.scenario import NOW, scenario
from modelog_gateway.subject.commands import EraseSubject
from modelog_gateway.subject.decide import SUBJECTS
from modelog_gateway.subject.events import SubjectErased

ERASED = SubjectErased("customer-17", "ticket 4711", "admin", NOW)


def test_a_subject_is_erased_once_whether_or_not_anybody_knew_it() -> None:
    asked = EraseSubject("customer-17", "ticket 4711")
    after = scenario(SUBJECTS, when=asked, by="admin", then=[ERASED])
    assert after.erased_at == NOW
    scenario(SUBJECTS, given=[ERASED], when=EraseSubject("customer-17", "again"), then=[])
