"""The rules about users, by what happened before and what is asked."""

from __future__ import annotations

from datetime import timedelta

from modelog_common.domain.errors import AlreadyExists, Invalid, NotAllowed, NotFound
from modelog_common.domain.sealed import Sealed
from modelog_common.testing.scenario import NOW, context, scenario
from modelog_gateway.user.commands import CreateUser, DescribeUser, EraseUser, IssueToken
from modelog_gateway.user.decide import USERS
from modelog_gateway.user.events import TokenIssued, UserCreated, UserDescribed, UserErased
from modelog_gateway.user.state import User

BOB = UserCreated("bob", ["reviewer", "viewer"], "admin", NOW)
HOUR = timedelta(hours=1)
NAME, EMAIL, OTHER = (Sealed("k", "nonce", text) for text in ("name", "email", "other"))
DESCRIBED = UserDescribed("bob", NAME, EMAIL, "admin", NOW)
ERASED = UserErased("bob", "ticket 4711", "admin", NOW)


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


def test_a_user_may_be_created_with_a_name_and_an_address() -> None:
    after = scenario(
        USERS, when=CreateUser("bob", ("reviewer", "viewer"), NAME, EMAIL), by="admin", then=[BOB, DESCRIBED]
    )
    assert (after.full_name, after.email) == (NAME, EMAIL)
    given = [BOB, DESCRIBED]
    scenario(USERS, given=given, when=CreateUser("bob", ("reviewer", "viewer"), NAME, EMAIL), then=[])
    scenario(
        USERS,
        given=given,
        when=CreateUser("bob", ("reviewer", "viewer"), OTHER, EMAIL),
        refused="there is a user 'bob' with another full name or e-mail address",
        error=AlreadyExists,
    )


def test_a_name_and_an_address_are_replaced_as_one() -> None:
    then = [UserDescribed("bob", None, OTHER, "admin", NOW)]
    after = scenario(USERS, given=[BOB, DESCRIBED], when=DescribeUser("bob", None, OTHER), by="admin", then=then)
    assert (after.full_name, after.email) == (None, OTHER)
    scenario(USERS, given=[BOB, DESCRIBED], when=DescribeUser("bob", NAME, EMAIL), then=[])
    scenario(USERS, when=DescribeUser("bob", NAME, EMAIL), refused="there is no user 'bob'", error=NotFound)


def test_a_user_is_erased_once_and_for_good() -> None:
    given = [BOB, DESCRIBED]
    after = scenario(USERS, given=given, when=EraseUser("bob", "ticket 4711"), by="admin", then=[ERASED])
    assert (after.roles, after.erased_at) == ((), NOW)
    given += [ERASED]
    scenario(USERS, given=given, when=EraseUser("bob", "again"), then=[])
    scenario(USERS, when=EraseUser("bob", "never there"), refused="there is no user 'bob'", error=NotFound)
    for command in (DescribeUser("bob", NAME, EMAIL), IssueToken("bob", "t1", HOUR)):
        scenario(USERS, given=given, when=command, refused="the user 'bob' was erased", error=NotAllowed)
    again = CreateUser("bob", ("viewer",))
    scenario(
        USERS, given=given, when=again, refused="choose another name, this one is not given again", error=AlreadyExists
    )
