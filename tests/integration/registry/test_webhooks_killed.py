"""kill -9 between sending and writing down: the delivery is sent again under the same id, and none is lost."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import grpc
import pytest
from modelog_common.domain.errors import Unavailable
from modelog_proto.registry.v1 import model_pb2
from modelog_proto.registry.v1 import webhook_pb2 as pb
from storm import until_answered

MODELS = 12


@pytest.fixture(autouse=True)
def loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the process starts, whose environment this is."""
    monkeypatch.setenv("MODELOG_WEBHOOK_NETWORKS", "127.0.0.0/8")


async def test_killed_before_it_hears_the_answer(process: Any, receiver: Any) -> None:
    alice = process.person("alice")
    request = pb.CreateWebhookRequest(name="ci", url=receiver.url, events=["registered_model.created"])
    await alice.webhooks.CreateWebhook(request)
    killed = []

    def kill(came: Any) -> None:
        """The receiver has it; the sender will never know."""
        if not killed:
            process.kill()
            killed.append(came)

    receiver.before_answer = kill
    names = [f"model-{n}" for n in range(MODELS)]
    with suppress(Unavailable, grpc.RpcError):
        # It may die before it answers this, too.
        await alice.model(names[0])
    await receiver.until(1)
    process.start()
    await process.ready()
    for name in names:
        await until_answered(alice.models.RegisterModel, model_pb2.RegisterModelRequest(name=name, request_id=name))
    # What is sent may come more than twice, while another waits for its first time.
    await receiver.so_far(
        lambda received: (
            {came.told["data"]["name"] for came in received} == set(names)
            and sum(came.id == killed[0].id for came in received) >= 2
        ),
        "each of the models, and one of them twice,",
    )
    ids = {}
    for came in receiver.received:
        ids.setdefault(came.told["data"]["name"], set()).add(came.id)
    assert all(len(of_one) == 1 for of_one in ids.values()), ids
    twice = [came for came in receiver.received if came.id == killed[0].id]
    assert len({came.body for came in twice}) == 1
    found = await until_answered(alice.webhooks.GetDelivery, pb.GetDeliveryRequest(delivery_id=killed[0].id))
    assert found.position > 0
