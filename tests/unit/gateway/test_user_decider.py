"""The rules about users, by what happened before and what is asked."""

from __future__ import annotations

from datetime import timedelta

from modelog_common.domain.errors import AlreadyExists, Invalid, NotFound
from modelog_common.testing.scenario import NOW, context, scenario
from modelog_gateway.user.commands import CreateUser, IssueToken
from modelog_gateway.user.decide import USERS
from modelog_gateway.user.events import TokenIssued, UserCreated
from modelog_gateway.user.state import User

BOB = UserCreated("bob", ["reviewer", "viewer"], "admin", NOW)
HOUR = timedelta(hours=1)


def test_a_user_is_created_with_roles_in_order_and_once_each() -> None:
    after = scenario(
        USERS,
        when=CreateUser("bob", ("viewer", "reviewer", "viewer")),
        by="admin",
        then=[BOB],
    )
    assert after == User("bob", ("reviewer", "viewer"), NOW)


def test_creating_the_same_user_again_changes_nothing() -> None:
    scenario(USERS, given=[BOB], when=CreateUser("bob", ("viewer", "reviewer")), then=[])


def test_a_name_is_taken_by_its_roles() -> None:
    scenario(
        USERS,
        given=[BOB],
        when=CreateUser("bob", ("admin",)),
        refused="there is a user 'bob' with the roles reviewer, viewer",
        error=AlreadyExists,
    )


def test_a_role_must_be_one() -> None:
    scenario(
        USERS,
        when=CreateUser("bob", ("viewer", "king")),
        refused="'king' is not a role; there are viewer, developer, reviewer, admin",
        error=Invalid,
        field="roles[1]",
    )
    scenario(USERS, when=CreateUser("bob", ("service",)), refused="'service' is not a role", error=Invalid)


def test_a_token_is_good_for_its_lifetime_and_replaces_the_one_before_in_the_state() -> None:
    first = TokenIssued("bob", "t1", NOW + HOUR, "admin", NOW)
    second = TokenIssued("bob", "t2", NOW + 2 * HOUR, "admin", NOW)
    after = scenario(
        USERS, given=[BOB, first], when=IssueToken("bob", "t2", 2 * HOUR), by=context("admin"), then=[second]
    )
    assert (after.token_id, after.token_expires_at, after.roles) == ("t2", NOW + 2 * HOUR, ("reviewer", "viewer"))


def test_nobody_gets_no_token() -> None:
    scenario(USERS, when=IssueToken("bob", "t1", HOUR), refused="there is no user 'bob'", error=NotFound)
