"""Models, versions, reviews and stages."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Union
from urllib.parse import quote

from modelog.api.datasets import Artifacts
from modelog.comparison import Comparison
from modelog.transport import Transport, pages
from modelog.types import (
    Artifact,
    Condition,
    DatasetRef,
    Model,
    ModelCounts,
    ModelEnvironment,
    ModelFact,
    ModelVersion,
    PromotionPolicy,
    PromotionRules,
    Record,
    RefusedPromotion,
    Replay,
    Signature,
)

STAGES = ("development", "staging", "production", "archived")
COMPARISONS = {
    "=": "EQUAL",
    "!=": "NOT_EQUAL",
    "<": "LESS",
    "<=": "LESS_OR_EQUAL",
    ">": "GREATER",
    ">=": "GREATER_OR_EQUAL",
    "like": "LIKE",
    "ilike": "ILIKE",
}


def where(key: str, comparison: str, value: Union[str, float]) -> Condition:
    """A condition of a search: where("name", "like", "flight%"), where("tag.team", "=", "air").

    A number is compared with times in milliseconds since 1970, and with the numbers of versions.
    """
    if comparison.lower() not in COMPARISONS:
        raise ValueError(f"{comparison!r} is no comparison; there are {', '.join(COMPARISONS)}")
    tag, dot, name = key.partition(".")
    is_tag = tag == "tag" and bool(dot)
    return Condition(
        field="FIELD_TAG" if is_tag else "FIELD_ATTRIBUTE",
        key=name if is_tag else key,
        comparison=f"COMPARISON_{COMPARISONS[comparison.lower()]}",
        text=value if isinstance(value, str) else "",
        number=0.0 if isinstance(value, str) else float(value),
    )


class _Models(Record):
    models: List[Model] = []
    next_page_token: str = ""


class _Versions(Record):
    versions: List[ModelVersion] = []
    next_page_token: str = ""


class _Facts(Record):
    facts: List[ModelFact] = []
    next_page_token: str = ""


class _Policies(Record):
    policies: List[PromotionPolicy] = []
    next_page_token: str = ""


class _Replayed(Record):
    considered: int = 0
    refused: List[RefusedPromotion] = []
    next_page_token: str = ""


class _Deleted(Record):
    position: int = 0


class Models:
    """The model registry."""

    def __init__(self, transport: Transport, artifacts: Artifacts) -> None:
        self._transport, self._artifacts = transport, artifacts

    def create(
        self,
        name: str,
        description: str = "",
        tags: Optional[Mapping[str, str]] = None,
        *,
        type: str = "",
        created_at: Optional[datetime] = None,
        workspace: str = "",
        project: str = "",
        request_id: Optional[str] = None,
    ) -> Model:
        """Give a model its name, in a project of a workspace or in default/default.

        Raises AlreadyExists when the name is taken by another.

        `type` says how it learns: supervised, unsupervised, reinforcement or ensemble. `created_at` says when it was
        created, where it comes from. The same `request_id` again changes nothing.
        """
        body = {
            "name": name,
            "description": description,
            "tags": dict(tags or {}),
            "type": _type(type),
            "created_at": created_at,
            "workspace": workspace,
            "project": project,
            "request_id": request_id,
        }
        return self._transport.post("/api/v1/models", Model, body)

    def move(self, name: str, workspace: str, project: str = "") -> Model:
        """Put a model, and its versions, in another project."""
        return self._transport.post(_at(name, "move"), Model, {"workspace": workspace, "project": project})

    def rename(self, name: str, new_name: str) -> Model:
        """Call a model, and its versions, otherwise; the old name is free then. Not while a deployment serves it."""
        return self._transport.post(_at(name, "rename"), Model, {"new_name": new_name})

    def get(self, name: str, *, as_of: Optional[str] = None, at_least: Optional[int] = None) -> Model:
        """A model with its versions; `as_of` is a position or an RFC 3339 time."""
        return self._transport.get(_at(name), Model, as_of=as_of, at_least=at_least)

    def list(self, *, workspace: str = "", project: str = "", as_of: Optional[str] = None) -> List[Model]:
        """All models, or those of a workspace or of one of its projects, by name."""
        return self._transport.every(
            "/api/v1/models",
            _Models,
            lambda page: page.models,
            workspace=workspace or None,
            project=project or None,
            as_of=as_of,
        )

    def version(self, model: str, version: str, *, as_of: Optional[str] = None) -> ModelVersion:
        """One version."""
        return self._transport.get(_at(model, "versions", version), ModelVersion, as_of=as_of)

    def register(
        self,
        model: str,
        artifact: Optional[Artifact],
        *,
        flavor: str = "",
        signature: Optional[Signature] = None,
        version: str = "",
        run_id: str = "",
        datasets: Sequence[DatasetRef] = (),
        metrics: Optional[Mapping[str, float]] = None,
        description: str = "",
        tags: Optional[Mapping[str, str]] = None,
        artifacts: Sequence[Artifact] = (),
        flavors: Optional[Mapping[str, Mapping[str, Any]]] = None,
        hyperparameters: Optional[Mapping[str, Any]] = None,
        environment: Optional[ModelEnvironment] = None,
        source: str = "",
        from_mlmodel: bool = False,
        created_at: Optional[datetime] = None,
        request_id: Optional[str] = None,
    ) -> ModelVersion:
        """Add a version in stage development; without `version` it is the next minor one.

        A version of several files names all of them in `artifacts`, and the model itself in `artifact`. With
        `from_mlmodel` what is not given here is taken from the file MLmodel among them: flavor, flavors, signature,
        environment and which file is the model itself. `created_at` says when it was created, where it comes from. The
        same `request_id` again gives the version that it added.
        """
        body: Dict[str, Any] = {
            "version": version,
            "artifact": artifact,
            "flavor": flavor,
            "signature": signature,
            "run_id": run_id,
            "datasets": list(datasets),
            "metrics": dict(metrics or {}),
            "description": description,
            "tags": dict(tags or {}),
            "artifacts": list(artifacts),
            "flavors": {name: dict(configuration) for name, configuration in (flavors or {}).items()},
            "hyperparameters": dict(hyperparameters) if hyperparameters else None,
            "environment": environment,
            "source": source,
            "from_mlmodel": from_mlmodel,
            "created_at": created_at,
            "request_id": request_id,
        }
        return self._transport.post(_at(model, "versions"), ModelVersion, body)

    def approve(
        self, model: str, version: str, comment: str, evidence: Optional[Mapping[str, Any]] = None
    ) -> ModelVersion:
        """Approve somebody else's version. Raises NotAllowed for one's own."""
        return self._review(model, version, "REVIEW_DECISION_APPROVED", comment, evidence)

    def reject(
        self, model: str, version: str, comment: str, evidence: Optional[Mapping[str, Any]] = None
    ) -> ModelVersion:
        """Reject somebody else's version."""
        return self._review(model, version, "REVIEW_DECISION_REJECTED", comment, evidence)

    def _review(
        self, model: str, version: str, decision: str, comment: str, evidence: Optional[Mapping[str, Any]]
    ) -> ModelVersion:
        body = {"decision": decision, "comment": comment, "evidence": dict(evidence) if evidence else None}
        return self._transport.post(_at(model, "versions", version, "reviews"), ModelVersion, body)

    def promote(
        self,
        model: str,
        version: str,
        stage: str,
        reason: str = "",
        *,
        expected_stage: str = "",
        archive_others: bool = False,
    ) -> ModelVersion:
        """Move a version to development, staging, production or archived.

        With `expected_stage` it must still be in that stage: raises Conflict, which says who moved it and when.
        """
        body = {
            "stage": f"STAGE_{stage.upper()}",
            "reason": reason,
            "expected_stage": f"STAGE_{expected_stage.upper()}" if expected_stage else None,
            "archive_others": archive_others,
        }
        return self._transport.post(_at(model, "versions", version, "promotions"), ModelVersion, body)

    def update(self, name: str, *, description: Optional[str] = None, type: str = "") -> Model:
        """Describe a model anew, or say how it learns."""
        body = {"description": description, "type": _type(type)}
        return self._transport.post(_at(name, "update"), Model, body)

    def tag(self, name: str, tags: Optional[Mapping[str, str]] = None, remove: Sequence[str] = ()) -> Model:
        """Set tags of a model, and take others away."""
        body = {"tags": dict(tags or {}), "removed": list(remove)}
        return self._transport.post(_at(name, "tags"), Model, body)

    def delete(self, name: str, reason: str = "") -> int:
        """Hide a model with all its versions; returns the position of the deletion."""
        return self._transport.post(_at(name, "delete"), _Deleted, {"reason": reason}).position

    def update_version(self, model: str, version: str, *, description: str) -> ModelVersion:
        """Describe a version anew."""
        body = {"description": description}
        return self._transport.post(_at(model, "versions", version, "update"), ModelVersion, body)

    def tag_version(
        self, model: str, version: str, tags: Optional[Mapping[str, str]] = None, remove: Sequence[str] = ()
    ) -> ModelVersion:
        """Set tags of a version, and take others away."""
        body = {"tags": dict(tags or {}), "removed": list(remove)}
        return self._transport.post(_at(model, "versions", version, "tags"), ModelVersion, body)

    def delete_version(self, model: str, version: str, reason: str = "") -> int:
        """Hide a version, whose number is never used again; returns the position of the deletion."""
        path = _at(model, "versions", version, "delete")
        return self._transport.post(path, _Deleted, {"reason": reason}).position

    def set_alias(self, model: str, alias: str, version: str, *, expected_version: Optional[str] = None) -> Model:
        """Point an alias to a version.

        With `expected_version` ("" for none) it must still point there: raises Conflict, which says who moved it.
        """
        body = {"alias": alias, "version": version, "expected_version": expected_version}
        return self._transport.post(_at(model, "aliases"), Model, body)

    def delete_alias(self, model: str, alias: str) -> Model:
        """Take an alias away."""
        return self._transport.post(_at(model, "aliases", alias, "delete"), Model, {})

    def by_alias(self, model: str, alias: str, *, as_of: Optional[str] = None) -> ModelVersion:
        """The version that an alias points to."""
        return self._transport.get(_at(model, "aliases", alias), ModelVersion, as_of=as_of)

    def history(
        self, model: str, version: str = "", *, as_of: Optional[str] = None, at_least: Optional[int] = None
    ) -> List[ModelFact]:
        """Who did what to a model or to one version, and when; oldest first."""

        def after(token: str) -> _Facts:
            return self._transport.get(
                _at(model, "history"),
                _Facts,
                version=version,
                as_of=as_of,
                at_least=at_least,
                page_token=token or None,
                page_size=1000,
            )

        return [fact for page in pages(after) for fact in page.facts]

    def search(
        self,
        conditions: Sequence[Condition] = (),
        *,
        text: str = "",
        workspace: str = "",
        project: str = "",
        as_of: Optional[str] = None,
    ) -> List[Model]:
        """Models that all conditions hold for (see `where`), by name.

        With a text only those that have all its words, the best first.
        """
        body = {"conditions": list(conditions), "text": text, "workspace": workspace, "project": project}

        def after(token: str) -> _Models:
            return self._transport.ask("/api/v1/models/search", _Models, body, as_of=as_of, page_token=token)

        return [model for page in pages(after) for model in page.models]

    def count(
        self,
        conditions: Sequence[Condition] = (),
        *,
        text: str = "",
        values: Optional[int] = None,
        workspace: str = "",
        project: str = "",
        as_of: Optional[str] = None,
    ) -> ModelCounts:
        """How many models all conditions hold for, by flavor, stage, type and tag; at most so many `values` of each.

        With a text only those that have all its words.
        """
        read = {"as_of": as_of or self._transport.as_of or ""}
        body = {
            "conditions": list(conditions),
            "text": text,
            "values": values,
            "workspace": workspace,
            "project": project,
            "read": read,
        }
        return self._transport.post("/api/v1/models/count", ModelCounts, body, repeatable=True)

    def search_versions(
        self, conditions: Sequence[Condition] = (), *, as_of: Optional[str] = None
    ) -> List[ModelVersion]:
        """Versions that all conditions hold for (see `where`), newest first."""
        body = {"conditions": list(conditions)}

        def after(token: str) -> _Versions:
            return self._transport.ask("/api/v1/versions/search", _Versions, body, as_of=as_of, page_token=token)

        return [version for page in pages(after) for version in page.versions]

    def compare(self, *versions: str, as_of: Optional[str] = None) -> Comparison:
        """What differs between versions, each "model/version", and between the runs that they came from."""
        return self._transport.get("/api/v1/comparisons/versions", Comparison, versions=[*versions], as_of=as_of)

    def policy(
        self, version: Optional[int] = None, *, workspace: str = "", as_of: Optional[str] = None
    ) -> PromotionPolicy:
        """The rules of promotions that are in force, or one version of them.

        Those that decide in a workspace are its own or, when it has none, the tenant's.
        """
        return self._transport.get(
            "/api/v1/promotion-policy", PromotionPolicy, version=version, workspace=workspace or None, as_of=as_of
        )

    def policies(self, *, workspace: str = "", as_of: Optional[str] = None) -> List[PromotionPolicy]:
        """All versions of the tenant's rules, or of a workspace's own, that were ever set, newest first."""
        return self._transport.every(
            "/api/v1/promotion-policies",
            _Policies,
            lambda page: page.policies,
            workspace=workspace or None,
            as_of=as_of,
        )

    def set_policy(
        self,
        rules: PromotionRules,
        reason: str = "",
        *,
        expected_version: Optional[int] = None,
        workspace: str = "",
    ) -> PromotionPolicy:
        """Put rules in force, as the next version: the tenant's, or those of a workspace, which decide there alone.

        With `expected_version` that one must still be in force: raises Conflict, which says who set another, and when.
        """
        body = {"rules": rules, "reason": reason, "expected_version": expected_version}
        of = f"/workspaces/{quote(workspace, safe='')}" if workspace else ""
        return self._transport.post(f"/api/v1{of}/promotion-policy", PromotionPolicy, body)

    def replay_promotions(self, rules: PromotionRules, *, workspace: str = "", as_of: Optional[str] = None) -> Replay:
        """Which promotions that happened, in one workspace or in all, these rules would have refused, and why."""
        body = {"rules": rules, "workspace": workspace}

        def after(token: str) -> _Replayed:
            return self._transport.ask(
                "/api/v1/promotion-policy/replay", _Replayed, body, as_of=as_of, page_token=token
            )

        told = Replay()
        for page in pages(after):
            told.considered += page.considered
            told.refused += page.refused
        return told

    def download(self, model: str, version: str, folder: Path) -> Path:
        """Fetch a version's file into `folder` (its digest is checked); returns the path."""
        found = self.version(model, version)
        if found.artifact is None:
            raise ValueError(f"{model} {version} has no file")
        return self._artifacts.download(found.artifact.digest, Path(folder) / Path(found.artifact.path).name)

    def download_files(self, model: str, version: str, folder: Path) -> List[Path]:
        """Fetch all files of a version into `folder`, each at its own path; returns the paths."""
        found = self.version(model, version)
        return [self._artifacts.download(a.digest, Path(folder) / a.path) for a in found.artifacts]


def _at(name: str, *parts: str) -> str:
    """The address of a model, or of something of it: names may be in any script, and hold spaces."""
    return "/".join(["/api/v1/models", *(quote(part, safe="") for part in (name, *parts))])


def _type(type: str) -> str:
    return f"MODEL_TYPE_{type.upper() or 'UNSPECIFIED'}"
