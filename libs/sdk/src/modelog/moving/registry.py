"""Registered models: their versions under the numbers that they had, with stages, aliases, tags and descriptions."""

from __future__ import annotations

import re
from typing import Any, Callable, Iterator, List, Optional, Tuple

import modelog
from modelog.errors import AlreadyExists, NotFound
from modelog.moving.files import Carrier
from modelog.moving.marks import SOURCE_ID, moment, request_of
from modelog.moving.source import Json, mapped
from modelog.types import Artifact, Model, ModelVersion

STAGES = {"Staging": ("staging",), "Production": ("staging", "production"), "Archived": ("archived",)}
OF_LOGGED_MODEL = re.compile(
    r"models:/(?P<id>m-[0-9a-f]+)|mlflow-artifacts:(?://[^/]*)?/[^/]+/models/(?P<model>[^/]+)/artifacts"
)
OF_RUN = re.compile(
    r"runs:/(?P<of>[^/]+)/(?P<at>.+)|mlflow-artifacts:(?://[^/]*)?/[^/]+/(?P<run>[^/]+)/artifacts/(?P<path>.+)"
)
# MLflow's own tags of a version, as the gateway keeps them.
MODEL_ID_TAG, RUN_LINK_TAG = "mlflow.modelId", "mlflow.runLink"
GONE = "It was deleted on the MLflow server before the import, and takes the number that it had."


class Registry:
    """`runs` and `models` give the ids here of those at the source; `reviewer` approves what goes to production."""

    def __init__(
        self,
        carrier: Carrier,
        runs: Callable[[str], str],
        models: Callable[[str], str],
        reviewer: Optional[modelog.Client],
    ) -> None:
        self._source, self._client, self._ledger = carrier.source, carrier.client, carrier.ledger
        self._carrier, self._reviewer = carrier, reviewer
        self._runs, self._models = runs, models

    def move(self, there: Json) -> None:
        """One model. A name that somebody else gave to a model here is left alone."""
        name = there["name"]
        versions = self._source.versions(name)
        try:
            here, known = self._named(there)
        except (AlreadyExists, NotFound) as error:
            self._ledger.refuse("registered models", name, str(error))
            for version in versions:
                self._ledger.refuse("versions", f"{name} {version['version']}", "its model was not moved")
            return
        (self._ledger.known if known else self._ledger.moved)("registered models")
        moved = dict(self._versions(here, there, versions))
        for alias in there.get("aliases", []):
            pointed = moved.get(int(alias["version"]))
            if pointed is not None and alias["alias"] not in pointed.aliases:
                with self._ledger.trying("aliases", f"{name} {alias['alias']}"):
                    self._client.models.set_alias(name, alias["alias"], pointed.version)

    def _named(self, there: Json) -> Tuple[Model, bool]:
        name, created = there["name"], there.get("creation_timestamp")
        mark = f"{name}/{created}"
        try:
            before = self._client.models.get(name)
        except NotFound:
            before = None
        if before is not None and before.tags.get(SOURCE_ID) != mark:
            raise AlreadyExists(f"a model of this name is here already; {before.author} registered it")
        made = self._client.models.create(
            name,
            there.get("description") or "",
            {SOURCE_ID: mark},
            created_at=moment(created),
            request_id=request_of("model", mark),
        )
        tags = {key: value for key, value in mapped(there.get("tags")).items() if made.tags.get(key) != value}
        return (self._client.models.tag(name, tags) if tags else made), before is not None

    def _versions(self, here: Model, there: Json, told: List[Json]) -> Iterator[Tuple[int, ModelVersion]]:
        """Each by its number there, which is its number here; what was deleted there leaves its number unused."""
        known = {version.tags.get(SOURCE_ID): version for version in here.versions}
        by_number = {int(version["version"]): version for version in told}
        missing = 0
        for n in range(1, max(by_number, default=0) + 1):
            if n not in by_number:
                self._skip(there, n)
                continue
            title = f"{here.name} {n}"
            if missing:
                self._ledger.refuse("versions", title, f"version {missing}, which has the number before, was not moved")
                continue
            self._ledger.tell(f"version {title}")
            missing = n
            with self._ledger.trying("versions", title):
                version = known.get(str(n)) or self._register(there, by_number[n])
                (self._ledger.known if str(n) in known else self._ledger.moved)("versions")
                missing = 0
                if not version.artifacts:
                    self._ledger.refuse("artifacts", f"version {title}", "its files are not on the MLflow server")
            if not missing:
                yield n, self._staged(version, by_number[n], title)

    def _register(self, there: Json, told: Json) -> ModelVersion:
        name, number = there["name"], told["version"]
        title = f"{name} {number}"
        files, address = self._files(told, title)
        tags = {**mapped(told.get("tags")), SOURCE_ID: str(number)}
        model_id = self._models(told.get("model_id") or "")
        tags.update({MODEL_ID_TAG: model_id} if model_id else {})
        tags.update({RUN_LINK_TAG: told["run_link"]} if told.get("run_link") else {})
        return self._client.models.register(
            name,
            None,
            run_id=self._runs(told.get("run_id") or ""),
            description=told.get("description") or "",
            tags=tags,
            artifacts=files,
            source=address,
            from_mlmodel=True,
            created_at=moment(told.get("creation_timestamp")),
            request_id=self._request(there, number),
        )

    def _files(self, told: Json, title: str) -> Tuple[List[Artifact], str]:
        """The files of a version, by paths in its folder, and where MLflow's clients find them here."""
        address = (told.get("source") or "unknown").rstrip("/")
        logged, of_run = OF_LOGGED_MODEL.fullmatch(address), OF_RUN.fullmatch(address)
        if logged is not None:
            model_id = self._models(logged.group("id") or logged.group("model"))
            if model_id:
                return list(self._client.logged_models.get(model_id).artifacts), f"models:/{model_id}"
        if of_run is not None:
            run_id, folder = self._runs(of_run.group("of") or of_run.group("run")), of_run.group("at") or of_run["path"]
            if run_id:
                run = self._client.runs.get(run_id)
                files = [_within(folder, file) for file in run.artifacts if file.path.startswith(folder + "/")]
                return files, f"mlflow-artifacts:/{run.experiment_id}/{run_id}/artifacts/{folder}"
        found: List[Artifact] = []
        root = self._source.root_of(address)
        if root:
            self._carrier.move(self._source.files(root), root, (), found.extend, f"version {title}")
        if found:
            why = "what it was registered from is not here: `modelog model download` has its files, MLflow's client not"
            self._ledger.refuse("sources", title, why)
        return found, address

    def _skip(self, there: Json, number: int) -> None:
        """Register and delete: a number is a place among all versions, and this one was used."""
        name = there["name"]
        try:
            version = self._client.models.register(
                name, None, flavor="mlflow", signature=None, description=GONE, source="deleted",
                request_id=self._request(there, number),
            )  # fmt: skip
            self._client.models.delete_version(name, version.version, GONE)
        except NotFound:
            return  # an import before this one deleted it

    def _staged(self, version: ModelVersion, told: Json, title: str) -> ModelVersion:
        """In its stage, as far as the rules of promotions let it."""
        wanted = told.get("current_stage") or "None"
        for stage in STAGES.get(wanted, ()):
            with self._ledger.trying("stages", f"{title} in {wanted}"):
                if version.stage == f"STAGE_{stage.upper()}" or version.stage == "STAGE_PRODUCTION":
                    continue
                if stage == "production" and self._reviewer is not None:
                    self._reviewer.models.approve(
                        version.model, version.version, f"It was in {wanted} on {self._source.url}"
                    )
                reason = f"It was in {wanted} on {self._source.url}"
                version = self._client.models.promote(version.model, version.version, stage, reason)
        return version

    @staticmethod
    def _request(there: Json, number: Any) -> str:
        return request_of("version", there["name"], there.get("creation_timestamp"), number)


def _within(folder: str, file: Artifact) -> Artifact:
    return Artifact(path=file.path[len(folder) + 1 :], digest=file.digest, size_bytes=file.size_bytes)
