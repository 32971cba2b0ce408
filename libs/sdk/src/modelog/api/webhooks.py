"""Webhooks: where the registry tells of what happens, and what became of each delivery."""

from __future__ import annotations

from typing import List, Optional, Sequence

from modelog.transport import Transport, pages
from modelog.types import Attempt, Delivery, Record, Webhook

PATH, DELIVERIES = "/api/v1/webhooks", "/api/v1/webhook-deliveries"


class _Webhooks(Record):
    webhooks: List[Webhook] = []
    next_page_token: str = ""


class _Deliveries(Record):
    deliveries: List[Delivery] = []


class _Position(Record):
    position: int = 0


class Webhooks:
    """The tenant's webhooks.

    >>> client.webhooks.create("ci", "https://ci.example.org/hook", ["model_version.created"])  # doctest: +SKIP
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(
        self,
        name: str,
        url: str,
        events: Sequence[str],
        *,
        secret: str = "",
        description: str = "",
        disabled: bool = False,
        model: str = "",
    ) -> Webhook:
        """Tell `url` of events from now on; with a secret each delivery is signed with it (HMAC-SHA256).

        With a model, of what happens to that one only.
        """
        body = {
            "name": name,
            "url": url,
            "events": list(events),
            "secret": secret,
            "description": description,
            "disabled": disabled,
            "model": model,
        }
        return self._transport.post(PATH, Webhook, body)

    def update(
        self,
        webhook_id: str,
        *,
        name: Optional[str] = None,
        url: Optional[str] = None,
        events: Optional[Sequence[str]] = None,
        secret: Optional[str] = None,
        description: Optional[str] = None,
        active: Optional[bool] = None,
        model: Optional[str] = None,
    ) -> Webhook:
        """Change what is given; `active` enables and disables, an empty secret or model takes it away."""
        body = {
            "name": name,
            "url": url,
            "events": None if events is None else list(events),
            "secret": secret,
            "description": description,
            "active": active,
            "model": model,
        }
        return self._transport.post(f"{PATH}/{webhook_id}", Webhook, body)

    def delete(self, webhook_id: str) -> int:
        """Send nothing any more; returns the position of the deletion in the log."""
        return self._transport.post(f"{PATH}/{webhook_id}/delete", _Position, {}).position

    def get(self, webhook_id: str, *, as_of: Optional[str] = None) -> Webhook:
        return self._transport.get(f"{PATH}/{webhook_id}", Webhook, as_of=as_of)

    def list(self, *, as_of: Optional[str] = None) -> List[Webhook]:
        """All of them, newest first."""
        found = pages(lambda token: self._transport.get(PATH, _Webhooks, page_token=token or None, as_of=as_of))
        return [webhook for page in found for webhook in page.webhooks]

    def test(self, webhook_id: str, event: str = "") -> Attempt:
        """Send an example once, of `event` or of the first that the webhook has."""
        return self._transport.post(f"{PATH}/{webhook_id}/test", Attempt, {"event": event})

    def deliveries(self, webhook_id: str = "", *, state: str = "", limit: int = 100) -> List[Delivery]:
        """Newest first; `state` is "waiting", "delivered" or "dead"."""
        wanted = f"DELIVERY_STATE_{state.upper()}" if state else None
        query = {"webhook_id": webhook_id or None, "state": wanted, "page_size": limit}
        return self._transport.get(DELIVERIES, _Deliveries, **query).deliveries

    def delivery(self, delivery_id: str) -> Delivery:
        """One, with its body and what came of each attempt."""
        return self._transport.get(f"{DELIVERIES}/{delivery_id}", Delivery)

    def replay(self, delivery_id: str) -> Delivery:
        """Send it again under the same id, dead or delivered; it waits for its turn in the answer."""
        self._transport.present("a replay")
        return self._transport.post(f"{DELIVERIES}/{delivery_id}/replay", Delivery, {}, repeatable=True)

    def replay_events(self, webhook_id: str, first: int, last: int) -> int:
        """Deliver what the webhook wants of the log from `first` to `last`, both included: again, or the first time."""
        body = {"first": first, "last": last}
        return self._transport.post(f"{PATH}/{webhook_id}/replay", _Position, body).position
