"""A profile says which part stands behind each port; what is wrong in one is said with what is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest
from modelog_common.config import Settings, variable
from modelog_common.domain.errors import Invalid
from modelog_platform.folder import SERVICES, PlatformFolder
from modelog_platform.processes import choose_ports, process_specs
from modelog_platform.profile import EMBEDDED, SETTINGS, load_profile
from modelog_platform.servers.catalogue import RECIPES
from modelog_platform.servers.recipe import Site

# Where S3 is stands in the variables that every client of S3 reads.
S3 = {"AWS_ENDPOINT_URL", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
KNOWN = {variable(name) for name in Settings.fields} | S3


def test_the_default_profile_has_no_servers() -> None:
    profile = load_profile("embedded")
    assert profile.servers == ()
    assert set(profile.behind) == set(SETTINGS)
    assert profile.settings({}) == {}


def test_behind_every_port_of_the_profile_servers_is_a_server() -> None:
    profile = load_profile("servers")
    assert [port for port, part in profile.behind.items() if part == EMBEDDED] == ["event_bus"]
    assert set(profile.servers) <= set(RECIPES)


@pytest.mark.parametrize(("port", "server"), [(port, server) for port in SETTINGS for server in SETTINGS[port]])
def test_services_are_told_of_a_server_in_settings_that_they_know(port: str, server: str) -> None:
    site = Site(Path("/home"), Path("/folder"), tuple(range(4711, 4711 + RECIPES[server].ports)), "hush")
    told = SETTINGS[port][server](site)
    assert told
    assert set(told) <= KNOWN
    assert any("127.0.0.1:4711" in value for value in told.values())


def test_a_platform_on_servers_has_them_as_parts_that_come_first(tmp_path: Path) -> None:
    folder = PlatformFolder(tmp_path / "data")
    folder.prepare()
    profile = load_profile("servers")
    ports = choose_ports(0, profile)
    specs = process_specs(folder, ports, {}, profile)
    assert [spec.name for spec in specs] == [*profile.servers, *SERVICES]
    assert [spec.part for spec in specs] == [True] * len(profile.servers) + [False] * len(SERVICES)
    passwords = {folder.password(server) for server in profile.servers}
    assert len(passwords) == len(profile.servers)
    words = " ".join(word for spec in specs for word in spec.command)
    shown = " ".join(ports.endpoints().values())
    for password in passwords:
        assert password not in words
        assert password not in shown
    assert ports.endpoints()["kafka"] == specs[-1].environment["MODELOG_KAFKA_BOOTSTRAP"]


def test_a_profile_of_ones_own_may_leave_ports_out(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('[ports]\ngraph = "neo4j"\n')
    profile = load_profile(str(file))
    assert profile.servers == ("neo4j",)
    assert profile.behind["broker"] == EMBEDDED


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[ports", "is not TOML"),
        ('[port]\ngraph = "neo4j"', r"has port; allowed: one table \[ports\]"),
        (
            '[ports]\nqueue = "kafka"',
            "ports.queue: in .* is not a port; allowed: broker, events, .*, blobs, cache, event_bus",
        ),
        ('[ports]\ngraph = "oracle"', "ports.graph: in .* is 'oracle'; allowed: embedded, neo4j"),
        ("[ports]\ngraph = 3", "ports.graph: in .* is 3; allowed: embedded, neo4j"),
    ],
)
def test_what_is_wrong_in_a_profile_is_said(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(Invalid, match=said):
        load_profile(str(file))


def test_an_unknown_profile_is_said_with_those_there_are() -> None:
    with pytest.raises(Invalid, match=r"there is no profile clouds; allowed: embedded, servers, or the path of a file"):
        load_profile("clouds")
