"""modelog.registry.v1.ModelRegistry over gRPC."""

from __future__ import annotations

from typing import Any

import grpc
from modelog_common.domain.clock import Clock
from modelog_proto.registry.v1 import model_pb2 as pb
from modelog_proto.registry.v1.model_pb2_grpc import ModelRegistryServicer

from modelog_registry.api import parse_models as parse
from modelog_registry.api.calls import command_call, since, tenant
from modelog_registry.handle.models import Models
from modelog_registry.read.models.model_queries import ModelQueries
from modelog_registry.read.words.texts import Words

Call = grpc.aio.ServicerContext[Any, Any]


class ModelServicer(ModelRegistryServicer):
    """Models, their versions, stages and approvals."""

    def __init__(self, models: Models, queries: ModelQueries, words: Words, clock: Clock) -> None:
        self._models, self._queries, self._words, self._clock = models, queries, words, clock

    async def RegisterModel(self, request: pb.RegisterModelRequest, context: Call) -> pb.Model:
        ctx = command_call(self._clock, request.request_id, "RegisterModel")
        position = await self._models.register(parse.register_model(request), request.workspace, request.project, ctx)
        return await self._queries.model(request.name, since(position), ctx.tenant)

    async def GetModel(self, request: pb.GetModelRequest, context: Call) -> pb.Model:
        return await self._queries.model(request.name, request.read, tenant())

    async def ListModels(self, request: pb.ListModelsRequest, context: Call) -> pb.ListModelsResponse:
        found = await self._queries.models(request, tenant())
        return pb.ListModelsResponse(models=found.items, next_page_token=found.next_page_token)

    async def RegisterVersion(self, request: pb.RegisterVersionRequest, context: Call) -> pb.ModelVersion:
        ctx = command_call(self._clock, request.request_id, "RegisterVersion")
        asked = parse.register_version(request)
        version, position = await self._models.register_version(asked, request.from_mlmodel, ctx)
        return await self._queries.version(request.model, version, since(position), ctx.tenant)

    async def GetVersion(self, request: pb.GetVersionRequest, context: Call) -> pb.ModelVersion:
        return await self._queries.version(request.model, request.version, request.read, tenant())

    async def ListVersions(self, request: pb.ListVersionsRequest, context: Call) -> pb.ListVersionsResponse:
        found = await self._queries.versions(
            request.model, parse.stage_wanted(request), request.page, request.read, tenant()
        )
        return pb.ListVersionsResponse(versions=found.items, next_page_token=found.next_page_token)

    async def ReviewVersion(self, request: pb.ReviewVersionRequest, context: Call) -> pb.ModelVersion:
        ctx = command_call(self._clock, request.request_id, "ReviewVersion")
        position = await self._models.change(parse.review_version(request), ctx)
        return await self._queries.version(request.model, request.version, since(position), ctx.tenant)

    async def PromoteVersion(self, request: pb.PromoteVersionRequest, context: Call) -> pb.ModelVersion:
        ctx = command_call(self._clock, request.request_id, "PromoteVersion")
        position = await self._models.promote(parse.promote_version(request), ctx)
        return await self._queries.version(request.model, request.version, since(position), ctx.tenant)

    async def UpdateModel(self, request: pb.UpdateModelRequest, context: Call) -> pb.Model:
        ctx = command_call(self._clock, request.request_id, "UpdateModel")
        position = await self._models.change(parse.update_model(request), ctx)
        return await self._queries.model(request.name, since(position), ctx.tenant)

    async def SetModelTags(self, request: pb.SetModelTagsRequest, context: Call) -> pb.Model:
        ctx = command_call(self._clock, request.request_id, "SetModelTags")
        position = await self._models.change(parse.tag_model(request), ctx)
        return await self._queries.model(request.name, since(position), ctx.tenant)

    async def MoveModel(self, request: pb.MoveModelRequest, context: Call) -> pb.Model:
        ctx = command_call(self._clock, request.request_id, "MoveModel")
        position = await self._models.move(request.name, request.workspace, request.project, ctx)
        return await self._queries.model(request.name, since(position), ctx.tenant)

    async def RenameModel(self, request: pb.RenameModelRequest, context: Call) -> pb.Model:
        ctx = command_call(self._clock, request.request_id, "RenameModel")
        position = await self._models.rename(request.name, request.new_name, ctx)
        return await self._queries.model(request.new_name, since(position), ctx.tenant)

    async def DeleteModel(self, request: pb.DeleteModelRequest, context: Call) -> pb.DeleteModelResponse:
        ctx = command_call(self._clock, request.request_id, "DeleteModel")
        position = await self._models.change(parse.delete_model(request), ctx)
        await self._queries.cover(position)
        return pb.DeleteModelResponse(position=position)

    async def UpdateVersion(self, request: pb.UpdateVersionRequest, context: Call) -> pb.ModelVersion:
        ctx = command_call(self._clock, request.request_id, "UpdateVersion")
        position = await self._models.change(parse.update_version(request), ctx)
        return await self._queries.version(request.model, request.version, since(position), ctx.tenant)

    async def SetVersionTags(self, request: pb.SetVersionTagsRequest, context: Call) -> pb.ModelVersion:
        ctx = command_call(self._clock, request.request_id, "SetVersionTags")
        position = await self._models.change(parse.tag_version(request), ctx)
        return await self._queries.version(request.model, request.version, since(position), ctx.tenant)

    async def DeleteVersion(self, request: pb.DeleteVersionRequest, context: Call) -> pb.DeleteVersionResponse:
        ctx = command_call(self._clock, request.request_id, "DeleteVersion")
        position = await self._models.change(parse.delete_version(request), ctx)
        await self._queries.cover(position)
        return pb.DeleteVersionResponse(position=position)

    async def SetAlias(self, request: pb.SetAliasRequest, context: Call) -> pb.Model:
        ctx = command_call(self._clock, request.request_id, "SetAlias")
        position = await self._models.change(parse.set_alias(request), ctx)
        return await self._queries.model(request.model, since(position), ctx.tenant)

    async def DeleteAlias(self, request: pb.DeleteAliasRequest, context: Call) -> pb.Model:
        ctx = command_call(self._clock, request.request_id, "DeleteAlias")
        position = await self._models.change(parse.delete_alias(request), ctx)
        return await self._queries.model(request.model, since(position), ctx.tenant)

    async def GetVersionByAlias(self, request: pb.GetVersionByAliasRequest, context: Call) -> pb.ModelVersion:
        return await self._queries.version_by_alias(request.model, request.alias, request.read, tenant())

    async def ListModelHistory(self, request: pb.ListModelHistoryRequest, context: Call) -> pb.ListModelHistoryResponse:
        found = await self._queries.history(request.model, request.version, request.page, request.read, tenant())
        return pb.ListModelHistoryResponse(facts=found.items, next_page_token=found.next_page_token)

    async def SearchModels(self, request: pb.SearchModelsRequest, context: Call) -> pb.SearchModelsResponse:
        return await self._queries.search_models(request, tenant(), self._words)

    async def CountModels(self, request: pb.CountModelsRequest, context: Call) -> pb.CountModelsResponse:
        return await self._queries.count_models(request, tenant(), self._words)

    async def SearchVersions(self, request: pb.SearchVersionsRequest, context: Call) -> pb.SearchVersionsResponse:
        found = await self._queries.search_versions(request, tenant())
        return pb.SearchVersionsResponse(versions=found.items, next_page_token=found.next_page_token)
