"""Which addresses a platform sends to when somebody names them: public ones, and the networks that a setting adds."""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any
from urllib.parse import SplitResult, urlsplit

from modelog_common.domain.errors import Invalid

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
_NAT64 = IPv6Network("64:ff9b::/96")
LONGEST = 2000


class Reach:
    """The networks besides public addresses; those may be sent to without TLS, too."""

    def __init__(self, networks: Sequence[Network] = ()) -> None:
        self._networks = tuple(networks)

    def check(self, url: str, field: str) -> SplitResult:
        """Raises Invalid, naming the field, for an address that is never sent to.

        A host name is judged by what it resolves to when something is sent, not here.
        """
        parts = _parts(url, field)
        if parts.scheme == "http" and not self._networks:
            raise Invalid.field(field, "is not encrypted; use https, or let MODELOG_WEBHOOK_NETWORKS name its network")
        try:
            address = ip_address(parts.hostname or "")
        except ValueError:
            return parts
        if not self.allows(address, plain=parts.scheme == "http"):
            raise Invalid.field(field, f"is at {address}, {self._refusal(plain=parts.scheme == 'http')}")
        return parts

    def allows(self, address: Address, *, plain: bool) -> bool:
        """Whether something is sent there; `plain` is without TLS."""
        known = _embedded(address)
        if any(known in network for network in self._networks if known.version == network.version):
            return True
        return not plain and known.is_global and not known.is_multicast

    def open_socket(self, info: tuple[Any, Any, int, str, tuple[Any, ...]], *, plain: bool) -> socket.socket:
        """A socket for an address that a name was resolved to: the very one that is connected to.

        Raises OSError for one that nothing is sent to.
        """
        family, kind, protocol, _, place = info
        if not self.allows(ip_address(str(place[0]).partition("%")[0]), plain=plain):
            raise OSError(errno.EACCES, f"{place[0]} is {self._refusal(plain=plain)}")
        return socket.socket(family, kind, protocol)

    def _refusal(self, *, plain: bool) -> str:
        lacking = "not in MODELOG_WEBHOOK_NETWORKS"
        return f"{lacking}, which http needs" if plain else f"no public address and {lacking}"


def networks_of(text: str) -> list[Network]:
    """Networks written as 10.0.0.0/8,127.0.0.0/8; raises ValueError for what is none."""
    return [ip_network(part.strip()) for part in text.split(",") if part.strip()]


def shown(url: str) -> str:
    """What may be told of an address whose path is a secret: "https://hooks.example.org/...", empty without a host."""
    try:
        parts = urlsplit(url)
        port = "" if parts.port is None else f":{parts.port}"
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.hostname}{port}/..." if parts.hostname else ""


def _parts(url: str, field: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - a wrong one is told by reading it
    except ValueError:
        raise Invalid.field(field, "is no address; allowed: an https address") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Invalid.field(field, "names no host; allowed: an http or https address")
    if parts.username is not None or parts.password is not None:
        raise Invalid.field(field, "holds a user or a password; leave them out")
    if not url.isascii() or not url.isprintable() or " " in url or len(url) > LONGEST:
        raise Invalid.field(field, f"has characters that no address has, or more than {LONGEST}")
    return parts


def _embedded(address: Address) -> Address:
    """The IPv4 address inside an IPv6 one, where there is one: private ones do not pass by another spelling."""
    if isinstance(address, IPv6Address):
        inside = address.ipv4_mapped or address.sixtofour
        if inside is None and address in _NAT64:
            inside = IPv4Address(int(address) & 0xFFFFFFFF)
        return inside or address
    return address
