"""A registry whose read tables are away starts, stores files and accepts commands; what needs no table is answered."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from modelog_common.domain.errors import Invalid, Unavailable
from modelog_platform.parts.ports import free_port
from modelog_proto.common.v1 import common_pb2
from modelog_proto.registry.v1 import experiment_pb2, model_pb2

SETTING = "postgresql://modelog:hush@127.0.0.1:{port}/modelog"


async def accepted_without_an_answer(call: Any) -> str:
    with pytest.raises(Unavailable) as told:
        await call
    return str(told.value)


async def test_commands_are_accepted_and_answered_later(tmp_path: Path, registry_with: Any) -> None:
    async with registry_with(tmp_path, tables=SETTING.format(port=free_port())) as away:
        alice = away.person("alice")
        await alice.upload(b"a model")
        for call in (alice.model("delays"), alice.experiment("delays"), alice.version("delays", request_id="v1")):
            text = await accepted_without_an_answer(call)
            assert "read tables in postgresql+asyncpg://modelog:***@127.0.0.1" in text
            assert "hush" not in text
        start = experiment_pb2.StartRunRequest(experiment="delays", request_id="once")
        started = await alice.experiments.StartRun(start)
        await accepted_without_an_answer(alice.experiments.GetRun(experiment_pb2.GetRunRequest(run_id=started.id)))
        await accepted_without_an_answer(alice.models.GetModel(model_pb2.GetModelRequest(name="delays")))
        with pytest.raises(Invalid, match="there is no experiment 'nothing'"):
            await alice.run("nothing")
        status = await alice.admin.GetStatus(common_pb2.GetStatusRequest())
        assert "cannot be used" in status.projections[0].error
        assert status.log_position == 6
    shutil.rmtree(tmp_path / "keys")  # each registry makes its own
    async with registry_with(tmp_path) as back:
        alice = back.person("alice")
        found = await alice.models.GetModel(model_pb2.GetModelRequest(name="delays"))
        assert [v.version for v in found.versions] == ["1.0.0"]
        again = await alice.experiments.StartRun(start)
        assert again == started, "it was answered from its state, which needs no table"
        assert await alice.experiments.GetRun(experiment_pb2.GetRunRequest(run_id=started.id)) == started
        assert (await alice.admin.GetStatus(common_pb2.GetStatusRequest())).log_position == 6
