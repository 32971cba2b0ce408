"""Alert channels: their addresses are secrets, sealed under the monitor's key and opened only to send an alert."""

from __future__ import annotations

from urllib.parse import urlsplit

from modelog_common.domain.errors import Invalid
from modelog_common.privacy.subjects import Subjects

from modelog_monitoring.monitor.events import Channel

ADDRESS = "monitoring.monitor.channel"


async def seal_channels(
    subjects: Subjects, tenant: str, monitor: str, channels: tuple[Channel, ...]
) -> tuple[Channel, ...]:
    """The channels as they go into a command."""
    return tuple([await _sealed(subjects, tenant, monitor, channel) for channel in channels])


async def address_of(subjects: Subjects, channel: Channel) -> str:
    """Where to send an alert; raises Unavailable when the address cannot be opened now."""
    return channel.url if isinstance(channel.url, str) else await subjects.open(ADDRESS, channel.url)


def check_channels(channels: tuple[Channel, ...]) -> None:
    """Raises Invalid for an address without a host, and for a channel that stands there twice."""
    for n, channel in enumerate(channels):
        if not shown(channel):
            raise Invalid.field(f"channels[{n}].url", "names no host; allowed: an http or https address")
        if channel in channels[:n]:
            raise Invalid.field(f"channels[{n}]", f"is the same as channels[{channels.index(channel)}]")


def shown(channel: Channel) -> str:
    """What may be told of an address: "https://hooks.example.org/...", empty for one without a host."""
    if not isinstance(channel.url, str):
        return channel.shown
    try:
        parts = urlsplit(channel.url)
        port = "" if parts.port is None else f":{parts.port}"
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.hostname}{port}/..." if parts.hostname else ""


async def _sealed(subjects: Subjects, tenant: str, monitor: str, channel: Channel) -> Channel:
    address = await address_of(subjects, channel)
    return Channel(channel.kind, await subjects.seal(tenant, f"monitor/{monitor}", ADDRESS, address), shown(channel))
