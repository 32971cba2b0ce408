"""Alert channels: their addresses are secrets, sealed under the monitor's key and opened only to send an alert."""

from __future__ import annotations

from modelog_common.domain.errors import Invalid
from modelog_common.outbound.reach import Reach
from modelog_common.outbound.reach import shown as shown_address
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


def check_channels(channels: tuple[Channel, ...], reach: Reach) -> None:
    """Raises Invalid for an address that is never sent to, and for a channel that stands there twice."""
    for n, channel in enumerate(channels):
        if isinstance(channel.url, str):
            reach.check(channel.url, f"channels[{n}].url")
        if channel in channels[:n]:
            raise Invalid.field(f"channels[{n}]", f"is the same as channels[{channels.index(channel)}]")


def shown(channel: Channel) -> str:
    """What may be told of an address: "https://hooks.example.org/...", empty for one without a host."""
    return shown_address(channel.url) if isinstance(channel.url, str) else channel.shown


async def _sealed(subjects: Subjects, tenant: str, monitor: str, channel: Channel) -> Channel:
    address = await address_of(subjects, channel)
    return Channel(channel.kind, await subjects.seal(tenant, f"monitor/{monitor}", ADDRESS, address), shown(channel))
