"""Webhooks are told of what happens, again until they take it, and what they never take is dead and can be replayed."""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from modelog_common.domain.errors import Forbidden, Invalid, NotAllowed, NotFound
from modelog_proto.common.v1 import common_pb2 as common
from modelog_proto.registry.v1 import experiment_pb2, model_pb2, sign_pb2
from modelog_proto.registry.v1 import webhook_pb2 as pb
from modelog_proto.registry.v1.sign_pb2_grpc import ModelSignaturesStub

KINDS = ["registered_model.created", "model_version.created", "model_version_alias.created", "run.failed"]
PATIENCE_S = 150


async def created(person: Any, url: str, *kinds: str, **fields: Any) -> Any:
    request = {"name": "ci", "url": url, "events": kinds or KINDS, **fields}
    return await person.webhooks.CreateWebhook(pb.CreateWebhookRequest(**request))


async def listed(person: Any, state: int = 0, webhook_id: str = "") -> list[Any]:
    request = pb.ListDeliveriesRequest(state=state, webhook_id=webhook_id)
    return list((await person.webhooks.ListDeliveries(request)).deliveries)


async def delivery(person: Any, delivery_id: str) -> Any:
    return await person.webhooks.GetDelivery(pb.GetDeliveryRequest(delivery_id=delivery_id))


async def until(found: Callable[[], Awaitable[Any]], what: str) -> Any:
    """Ask until the answer is not empty."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not (answer := await found()):
                await asyncio.sleep(0.1)
            return answer
    except TimeoutError:
        raise AssertionError(f"{what} did not come about in {PATIENCE_S} s") from None


async def test_each_wanted_event_is_told_once_in_mlflows_form(hooked: Any, receiver: Any) -> None:
    alice = hooked.person("alice")
    hook = await created(alice, receiver.url, secret="hush", description="builds")
    await alice.upload()
    await alice.model()
    await alice.version(description="first", tags={"a": "1", "mlflow.modelId": "m-1"})
    await alice.version(artifact=None, source="s3://bucket/model", run_id="")
    await alice.models.SetAlias(model_pb2.SetAliasRequest(model="flight-delay", alias="champion", version="1.1.0"))
    await alice.experiment()
    run = await alice.run(name="a run")
    end = experiment_pb2.EndRunRequest(run_id=run.id, status=experiment_pb2.RUN_STATUS_FAILED, error="out of memory")
    await alice.experiments.EndRun(end)
    came = {request.kind + request.told["data"].get("version", ""): request for request in await receiver.until(5)}
    told = {kind: request.told["data"] for kind, request in came.items()}
    model = "flight-delay"
    assert told == {
        "registered_model.created": {"name": model, "tags": {}, "description": ""},
        "model_version.created1": {
            "name": model,
            "version": "1",
            "source": "",
            "run_id": None,
            "tags": {"a": "1"},
            "description": "first",
        },
        "model_version.created2": {
            "name": model,
            "version": "2",
            "source": "s3://bucket/model",
            "run_id": None,
            "tags": {},
            "description": None,
        },
        "model_version_alias.created2": {"name": model, "alias": "champion", "version": "2"},
        "run.failed": {
            "run_id": run.id,
            "experiment_id": run.experiment_id,
            "run_name": "a run",
            "error": "out of memory",
        },
    }
    for request in came.values():
        assert set(request.told) == {"entity", "action", "timestamp", "data"}
        assert request.headers["Content-Type"] == "application/json"
        assert request.is_signed("hush")
        assert not request.is_signed("other")
    assert len({request.id for request in receiver.received}) == 5
    done = await until(lambda: _all(alice, pb.DELIVERY_STATE_DELIVERED, 5), "five deliveries")
    assert {d.webhook_id for d in done} == {hook.id}
    whole = await delivery(alice, came["run.failed"].id)
    assert whole.body.encode() == came["run.failed"].body
    assert [(a.number, a.status, a.answer) for a in whole.tried] == [(1, 200, "thank you")]
    assert whole.tried[0].latency_ms > 0
    assert len(receiver.received) == 5


async def _all(person: Any, state: int, count: int) -> list[Any]:
    found = await listed(person, state)
    return found if len(found) == count else []


async def test_a_receiver_that_refuses_is_asked_again_under_the_same_id(hooked: Any, receiver: Any) -> None:
    alice = hooked.person("alice")
    receiver.answers = [web.Response(status=503, text="busy"), web.Response(status=302, headers={"Location": "/else"})]
    await created(alice, receiver.url)
    await alice.model()
    first, second, third = await receiver.until(3)
    assert first.id == second.id == third.id
    assert first.body == second.body == third.body
    [done] = await until(lambda: _all(alice, pb.DELIVERY_STATE_DELIVERED, 1), "the delivery")
    assert (done.attempts, done.outcome) == (3, "")
    tried = (await delivery(alice, done.id)).tried
    assert [(a.number, a.status, a.answer) for a in tried] == [(1, 503, "busy"), (2, 302, ""), (3, 200, "thank you")]


async def test_what_nobody_takes_is_dead_until_it_is_replayed(hooked: Any, receiver: Any) -> None:
    alice = hooked.person("alice")
    receiver.answers = [web.Response(status=500, text="x" * 5000) for _ in range(3)]
    await created(alice, receiver.url)
    await alice.model()
    [dead] = await until(lambda: _all(alice, pb.DELIVERY_STATE_DEAD, 1), "the dead delivery")
    assert dead.attempts == 3
    assert dead.outcome == "answered 500: " + "x" * 200
    assert max(len(a.answer) for a in (await delivery(alice, dead.id)).tried) == 1000
    await alice.webhooks.ReplayDelivery(pb.ReplayDeliveryRequest(delivery_id=dead.id))
    assert len({request.id for request in await receiver.until(4)}) == 1
    [done] = await until(lambda: _all(alice, pb.DELIVERY_STATE_DELIVERED, 1), "the replayed delivery")
    assert (done.id, done.attempts) == (dead.id, 4)


async def test_one_that_is_gone_is_dead_at_once(hooked: Any, receiver: Any) -> None:
    alice = hooked.person("alice")
    receiver.answers = [web.Response(status=410)]
    await created(alice, receiver.url)
    await alice.model()
    [dead] = await until(lambda: _all(alice, pb.DELIVERY_STATE_DEAD, 1), "the dead delivery")
    assert (dead.attempts, dead.outcome) == (1, "answered 410: ")


async def test_retry_after_is_waited_for(hooked: Any, receiver: Any) -> None:
    alice = hooked.person("alice")
    receiver.answers = [web.Response(status=429, headers={"Retry-After": "3000"})]
    await created(alice, receiver.url)
    await alice.model()

    async def tried() -> list[Any]:
        return [d for d in await listed(alice) if d.attempts == 1]

    [waiting] = await until(tried, "the first attempt")
    assert waiting.state == pb.DELIVERY_STATE_WAITING
    assert waiting.due_at.ToMilliseconds() == waiting.changed_at.ToMilliseconds() + 3_000_000


async def test_a_range_of_the_past_is_delivered_to_a_webhook_made_later(hooked: Any, receiver: Any) -> None:
    alice = hooked.person("alice")
    first = await alice.model("one")
    last = await alice.model("two")
    await alice.model("three")
    hook = await created(alice, receiver.url)
    again = pb.ReplayEventsRequest(webhook_id=hook.id, first=first.position, last=last.position)
    await alice.webhooks.ReplayEvents(again)
    assert sorted(r.told["data"]["name"] for r in await receiver.until(2)) == ["one", "two"]
    await until(lambda: _all(alice, pb.DELIVERY_STATE_DELIVERED, 2), "two deliveries")
    await alice.webhooks.ReplayEvents(again)
    assert len({r.id for r in await receiver.until(4)}) == 2
    with pytest.raises(Invalid, match="last: is 1, before first, 2"):
        await alice.webhooks.ReplayEvents(pb.ReplayEventsRequest(webhook_id=hook.id, first=2, last=1))


async def test_a_slow_receiver_holds_up_nobody_else(hooked: Any, receiver: Any) -> None:
    alice = hooked.person("alice")

    async def silent(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    slow = await created(alice, f"http://127.0.0.1:{port}/", name="slow")
    quick = await created(alice, receiver.url, name="quick")
    for n in range(20):
        await alice.model(f"m{n}")
    await receiver.until(20)
    await until(lambda: _delivered(alice, quick.id, 20), "all quick deliveries")
    assert not await _delivered(alice, slow.id, 1)
    server.close()


async def _delivered(person: Any, webhook_id: str, count: int) -> list[Any]:
    found = await listed(person, pb.DELIVERY_STATE_DELIVERED, webhook_id)
    return found if len(found) == count else []


async def test_a_disabled_webhook_is_told_nothing_and_a_deleted_ones_deliveries_are_dead(
    hooked: Any, receiver: Any
) -> None:
    alice = hooked.person("alice")
    receiver.answers = [web.Response(status=429, headers={"Retry-After": "3000"})]
    hook = await created(alice, receiver.url)
    await alice.model("one")
    await receiver.until(1)
    other = await created(alice, receiver.url, name="other", disabled=True)
    await alice.webhooks.UpdateWebhook(pb.UpdateWebhookRequest(webhook_id=hook.id, active=False))
    await alice.model("two")
    await alice.webhooks.UpdateWebhook(pb.UpdateWebhookRequest(webhook_id=other.id, active=True))
    await alice.model("three")
    assert (await receiver.until(2))[1].told["data"]["name"] == "three"
    with pytest.raises(NotAllowed, match="the webhook 'ci' is disabled; enable it first"):
        [waiting] = await listed(alice, webhook_id=hook.id)
        await alice.webhooks.ReplayDelivery(pb.ReplayDeliveryRequest(delivery_id=waiting.id))
    await alice.webhooks.DeleteWebhook(pb.DeleteWebhookRequest(webhook_id=hook.id))
    [dead] = await until(lambda: _all(alice, pb.DELIVERY_STATE_DEAD, 1), "the dead delivery")
    assert (dead.webhook_id, dead.outcome) == (hook.id, "the webhook was deleted")
    with pytest.raises(NotAllowed, match="the webhook 'ci' is deleted"):
        await alice.webhooks.ReplayDelivery(pb.ReplayDeliveryRequest(delivery_id=dead.id))
    with pytest.raises(NotFound, match="there is no webhook"):
        await alice.webhooks.GetWebhook(pb.GetWebhookRequest(webhook_id=hook.id))


async def test_a_test_sends_an_example_once_and_keeps_nothing(hooked: Any, receiver: Any) -> None:
    alice = hooked.person("alice")
    hook = await created(alice, receiver.url, "model_version.created", secret="hush")
    receiver.answers = [web.Response(status=201, text="made"), web.Response(status=500)]
    tried = await alice.webhooks.TestWebhook(pb.TestWebhookRequest(webhook_id=hook.id))
    assert (tried.status, tried.answer) == (201, "made")
    assert receiver.received[0].kind == "model_version.created"
    assert receiver.received[0].is_signed("hush")
    failed = await alice.webhooks.TestWebhook(pb.TestWebhookRequest(webhook_id=hook.id, event="run.failed"))
    assert (failed.status, receiver.received[1].kind) == (500, "run.failed")
    assert await listed(alice) == []


async def test_secrets_and_addresses_stand_nowhere_in_plain_text(hooked: Any, receiver: Any) -> None:
    alice = hooked.person("alice")
    hook = await created(alice, receiver.url, secret="V3RY-H1DD3N")
    changed = pb.UpdateWebhookRequest(webhook_id=hook.id, secret="S3C0ND-H1DD3N", name="renamed")
    assert (await alice.webhooks.UpdateWebhook(changed)).has_secret
    await alice.model()
    [request] = await receiver.until(1)
    assert request.is_signed("S3C0ND-H1DD3N")
    await until(lambda: _all(alice, pb.DELIVERY_STATE_DELIVERED, 1), "the delivery")
    assert hook.url == receiver.url
    for file in [f for f in hooked.folder.rglob("*.db*") if f.is_file()]:
        if file.suffix == ".db":
            db = sqlite3.connect(file)
            db.execute("PRAGMA wal_checkpoint(PASSIVE)")
            db.close()
        content = file.read_bytes()
        for secret in (b"V3RY-H1DD3N", b"S3C0ND-H1DD3N", b"S3CRET-PATH"):
            assert secret not in content, f"{secret!r} stands in {file}"
    unsigned = pb.UpdateWebhookRequest(webhook_id=hook.id, secret="")
    assert not (await alice.webhooks.UpdateWebhook(unsigned)).has_secret


async def test_only_admins_of_the_tenant_see_webhooks(hooked: Any, receiver: Any) -> None:
    alice = hooked.person("alice")
    hook = await created(alice, receiver.url)
    stranger = hooked.person("eve", tenant="other")
    for call in (
        stranger.webhooks.GetWebhook(pb.GetWebhookRequest(webhook_id=hook.id)),
        stranger.webhooks.UpdateWebhook(pb.UpdateWebhookRequest(webhook_id=hook.id, name="mine")),
        stranger.webhooks.DeleteWebhook(pb.DeleteWebhookRequest(webhook_id=hook.id)),
        stranger.webhooks.TestWebhook(pb.TestWebhookRequest(webhook_id=hook.id)),
    ):
        with pytest.raises(NotFound, match="there is no webhook"):
            await call
    await stranger.model("theirs")
    await alice.model("ours")
    assert (await receiver.until(1))[0].told["data"]["name"] == "ours"
    [ours] = await until(lambda: _all(alice, pb.DELIVERY_STATE_DELIVERED, 1), "the delivery")
    assert await listed(stranger) == []
    with pytest.raises(NotFound, match="there is no delivery"):
        await delivery(stranger, ours.id)
    with pytest.raises(Forbidden):
        await created(hooked.person("dan", "developer"), receiver.url)


async def test_webhooks_are_listed_newest_first_and_deliveries_by_pages(hooked: Any, receiver: Any) -> None:
    alice = hooked.person("alice")
    for name in ("a", "b", "c"):
        await created(alice, receiver.url, name=name, request_id=f"make {name}")
    again = await created(alice, receiver.url, name="c", request_id="make c")
    first = await alice.webhooks.ListWebhooks(pb.ListWebhooksRequest(page=common.Page(size=2)))
    rest = pb.ListWebhooksRequest(page=common.Page(size=2, token=first.next_page_token))
    assert [w.name for w in first.webhooks] == ["c", "b"]
    assert first.webhooks[0].id == again.id
    assert [w.name for w in (await alice.webhooks.ListWebhooks(rest)).webhooks] == ["a"]
    await alice.model()
    await until(lambda: _all(alice, pb.DELIVERY_STATE_DELIVERED, 3), "three deliveries")
    seen, token = [], ""
    while True:
        page = common.Page(size=2, token=token)
        found = await alice.webhooks.ListDeliveries(pb.ListDeliveriesRequest(page=page))
        seen += [d.id for d in found.deliveries]
        token = found.next_page_token
        if not token:
            break
    assert len(seen) == len(set(seen)) == 3


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"name": "-ci"}, "name: is '-ci'; allowed: 1 to 63 letters"),
        ({"events": ["model.created"]}, "events: has 'model.created', which never happens here; allowed: registered"),
        ({"url": "ftp://host/x"}, "url: names no host; allowed: an http or https address"),
        ({"url": "https://u:p@example.org/"}, "url: holds a user or a password"),
        ({"url": "https://10.0.0.1/"}, "url: is at 10.0.0.1, no public address and not in MODELOG_WEBHOOK_NETWORKS"),
        ({"url": "https://[::ffff:169.254.169.254]/"}, "no public address"),
        ({"url": "http://93.184.215.14/"}, "not in MODELOG_WEBHOOK_NETWORKS, which http needs"),
    ],
)
async def test_what_is_wrong_is_named(hooked: Any, receiver: Any, fields: Any, told: str) -> None:
    request = {"name": "ci", "url": receiver.url, "events": KINDS, **fields}
    with pytest.raises(Invalid) as refused:
        await hooked.person("alice").webhooks.CreateWebhook(pb.CreateWebhookRequest(**request))
    assert told in str(refused.value)


async def test_a_name_that_leads_into_a_private_network_is_refused_when_it_is_sent_to(
    registry_with: Any, tmp_path: Any
) -> None:
    async with registry_with(tmp_path) as registry:
        alice = registry.person("alice")
        with pytest.raises(Invalid, match="is not encrypted; use https"):
            await created(alice, "http://localhost:9/")
        hook = await created(alice, "https://localhost:9/hook")
        tried = await alice.webhooks.TestWebhook(pb.TestWebhookRequest(webhook_id=hook.id))
        assert tried.status == 0
        assert "is no public address and not in MODELOG_WEBHOOK_NETWORKS" in tried.error


async def test_a_webhook_of_one_model_is_told_of_that_one_only(hooked: Any, receiver: Any) -> None:
    alice = hooked.person("alice")
    kinds = ["registered_model.created", "model_version_alias.created"]
    hook = await created(alice, receiver.url, *kinds, model="mine")
    assert hook.model == "mine"
    for name in ("other", "mine"):
        await alice.model(name)
    assert [r.told["data"]["name"] for r in await receiver.until(1)] == ["mine"]
    changed = pb.UpdateWebhookRequest(webhook_id=hook.id, model="")
    assert (await alice.webhooks.UpdateWebhook(changed)).model == ""
    await alice.model("third")
    assert [r.told["data"]["name"] for r in await receiver.until(2)] == ["mine", "third"]
    with pytest.raises(Invalid, match=r"events: has 'run.failed', which belongs to no model"):
        await created(alice, receiver.url, "registered_model.created", "run.failed", model="mine")
    runs = await created(alice, receiver.url, "run.failed", name="runs")
    with pytest.raises(Invalid, match="which belongs to no model"):
        await alice.webhooks.UpdateWebhook(pb.UpdateWebhookRequest(webhook_id=runs.id, model="mine"))


async def test_signatures_are_told_of(hooked: Any, receiver: Any) -> None:
    alice = hooked.person("alice")
    await created(alice, receiver.url, "model_version_signature.added")
    await alice.model()
    await alice.upload()
    await alice.version()
    for content in (b"signature", b"card"):
        await alice.upload(content)
    signed = sign_pb2.AddModelSignatureRequest(
        model="flight-delay",
        version="1.0.0",
        key="ab" * 32,
        signature=artifact_of("signature.json", b"signature"),
        files=[artifact_of("card.json", b"card")],
    )
    await ModelSignaturesStub(alice.channel).AddModelSignature(signed)
    [request] = await receiver.until(1)
    assert request.told["data"] == {
        "name": "flight-delay",
        "version": "1",
        "semantic_version": "1.0.0",
        "key": "ab" * 32,
        "files": ["card.json"],
        "by": "alice",
    }


def artifact_of(path: str, content: bytes) -> Any:
    digest = hashlib.sha256(content).hexdigest()
    return model_pb2.Artifact(path=path, digest=digest, size_bytes=len(content))
