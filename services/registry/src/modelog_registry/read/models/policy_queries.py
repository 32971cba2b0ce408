"""The registry's answers about promotion policies: which rules were in force, and what others would have refused."""

from __future__ import annotations

from datetime import UTC, datetime

from modelog_common.read.moment import ReadOptions
from modelog_common.read.queries import Found, Page, Queries
from modelog_proto.common.v1 import common_pb2 as common
from modelog_proto.registry.v1 import policy_pb2 as pb

from modelog_registry.read.messages import STAGE_OF
from modelog_registry.read.models.model_tables import POLICIES, PROMOTIONS
from modelog_registry.read.models.policy_messages import candidate_of, first_policy, rules_of
from modelog_registry.read.places import MODEL, inside
from modelog_registry.read.queries import existing
from modelog_registry.rules import check_rules, refusals


class PolicyQueries:
    """Queries over the read tables."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries

    async def policy(self, version: int | None, workspace: str, read: ReadOptions, tenant: str) -> pb.PromotionPolicy:
        """One version of a policy or, for None, the one that decides: the workspace's own, else the tenant's."""
        if version == 0:
            return first_policy()
        if version is None:
            for whose in dict.fromkeys([workspace, ""]):
                newest = await self.policies(whose, common.Page(size=1), read, tenant)
                if newest.items:
                    return newest.items[0]
            return first_policy()
        found = await self._queries.one(
            POLICIES, pb.PromotionPolicy, read, tenant, workspace=workspace, version=str(version)
        )
        of = f" of the workspace {workspace!r}" if workspace else ""
        return existing(found, f"there is no version {version} of the promotion policy{of}", read)

    async def policies(self, workspace: str, page: Page, read: ReadOptions, tenant: str) -> Found[pb.PromotionPolicy]:
        """All versions but the first of a workspace's own policy, or for an empty name the tenant's; newest first."""
        t = POLICIES.table.c
        return await self._queries.page(
            POLICIES,
            pb.PromotionPolicy,
            read,
            tenant,
            page,
            where=[t.workspace == workspace],
            order_by=[t.number.desc()],
        )

    async def replay(self, request: pb.ReplayPromotionsRequest, tenant: str) -> pb.ReplayPromotionsResponse:
        """What of the promotions that happened these rules would have refused."""
        rules = rules_of(request.rules)
        check_rules(rules)
        found = await self._queries.page(
            PROMOTIONS,
            pb.RecordedPromotion,
            request.read,
            tenant,
            request.page,
            where=lambda at: inside(MODEL, PROMOTIONS.table.c.entity, tenant, at, request.workspace, ""),
            order_by=[PROMOTIONS.table.c.at_position],
        )
        judged = [
            (promotion, refusals(candidate_of(promotion), STAGE_OF[promotion.to_stage], _at(promotion), rules))
            for promotion in found.items
        ]
        return pb.ReplayPromotionsResponse(
            considered=len(judged),
            refused=[pb.RefusedPromotion(promotion=p, reasons=reasons) for p, reasons in judged if reasons],
            next_page_token=found.next_page_token,
        )


def _at(promotion: pb.RecordedPromotion) -> datetime:
    return promotion.at.ToDatetime(tzinfo=UTC)
