"""Which addresses are sent to, and how long is waited between attempts."""

from __future__ import annotations

import socket
from ipaddress import ip_address

import pytest
from modelog_common.domain.errors import Invalid
from modelog_common.outbound.pace import Pace
from modelog_common.outbound.reach import Reach, networks_of, shown

PUBLIC = ("93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c")
PRIVATE = (
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "127.0.0.1",
    "169.254.169.254",
    "0.0.0.0",  # noqa: S104 - not listened on
    "224.0.0.1",
    "255.255.255.255",
    "::1",
    "::",
    "fe80::1",
    "fd00::1",
    "ff02::1",
    "::ffff:10.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::",
)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_reached_over_tls_only(address: str) -> None:
    assert Reach().allows(ip_address(address), plain=False)
    assert not Reach().allows(ip_address(address), plain=True)


@pytest.mark.parametrize("address", PRIVATE)
def test_other_addresses_are_not_reached(address: str) -> None:
    assert not Reach().allows(ip_address(address), plain=False)
    assert not Reach(networks_of("192.0.2.0/24")).allows(ip_address(address), plain=True)


@pytest.mark.parametrize("address", ["10.1.2.3", "::ffff:10.1.2.3", "fd00::1"])
def test_a_setting_adds_networks(address: str) -> None:
    reach = Reach(networks_of("10.0.0.0/8, fd00::/8"))
    assert reach.allows(ip_address(address), plain=False)
    assert reach.allows(ip_address(address), plain=True)


def test_what_is_connected_to_is_checked() -> None:
    info = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 443))
    with pytest.raises(OSError, match=r"127.0.0.1 is no public address and not in MODELOG_WEBHOOK_NETWORKS"):
        Reach().open_socket(info, plain=False)
    Reach(networks_of("127.0.0.0/8")).open_socket(info, plain=True).close()


@pytest.mark.parametrize(
    "url",
    ["", "https://", "ftp://x/", "https://x:port/", "https://u@x/", "https://x/ y", "https://x/é", "https://[::1/"],
)
def test_what_is_no_address_is_refused_by_its_field(url: str) -> None:
    with pytest.raises(Invalid, match="^url: "):
        Reach().check(url, "url")


def test_only_the_host_of_an_address_is_shown() -> None:
    assert shown("https://hooks.example.org:8443/T0P/SECRET?x=1") == "https://hooks.example.org:8443/..."
    assert shown("https://[half") == ""


def test_pauses_double_up_to_a_longest_one_and_wait_as_long_as_is_asked_for() -> None:
    pace = Pace(first_s=2, longest_s=60, longest_asked_s=600)
    assert [pace.pause_s(n, lambda: 1.0) for n in (1, 2, 3, 6, 1000)] == [2, 4, 8, 60, 60]
    assert pace.pause_s(3, lambda: 0.0) == 4
    assert pace.pause_s(1, lambda: 1.0, 90) == 90
    assert pace.pause_s(1, lambda: 1.0, 10**9) == 600
    assert pace.pause_s(6, lambda: 1.0, 1) == 60
