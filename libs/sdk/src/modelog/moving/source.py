"""An MLflow server as it is read: by its REST API, with the credentials that MLflow's own clients take."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple, Union
from urllib.parse import quote

import httpx

from modelog.errors import Forbidden, ModelogError, NotFound, Unauthenticated, Unavailable

API = "/api/2.0/mlflow"
PROXY = "/api/2.0/mlflow-artifacts/artifacts"
API_3 = "/api/3.0/mlflow"
PAGE = 1000
TRACES_PAGE = 500
MODELS_PAGE = 50
POINTS = 25_000
RETRIES = 5
FIRST_PAUSE_S = 0.2
TRUE = ("true", "1")
# What the proxy serves: the path within it.
PROXIED = re.compile(r"mlflow-artifacts:(?://[^/]*)?/(.*)")
# Folders under the root of an experiment whose files are a run's, a logged model's or a trace's.
OWNED = re.compile(r"(?:(?:models|traces)/)?[^/]+/artifacts")
PROMPT = "tags.`mlflow.prompt.is_prompt` = 'true'"
Json = Dict[str, Any]


class NotServed(ModelogError):
    """The server does not serve these files."""


class Source:
    """One server. Nothing is changed there.

    Credentials are those of MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD or of MLFLOW_TRACKING_TOKEN; those of
    a certificate, MLFLOW_TRACKING_CLIENT_CERT_PATH. MLFLOW_TRACKING_SERVER_CERT_PATH says which certificates are
    trusted, MLFLOW_TRACKING_INSECURE_TLS that all are.
    """

    def __init__(self, url: str, environ: Mapping[str, str] = os.environ, timeout_s: float = 120.0) -> None:
        self.url = url.rstrip("/")
        verify: Union[bool, str] = environ.get("MLFLOW_TRACKING_SERVER_CERT_PATH") or True
        if environ.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() in TRUE:
            verify = False
        user, password = environ.get("MLFLOW_TRACKING_USERNAME"), environ.get("MLFLOW_TRACKING_PASSWORD")
        token = environ.get("MLFLOW_TRACKING_TOKEN")
        auth = httpx.BasicAuth(user, password) if user and password else None
        headers = {"Authorization": f"Bearer {token}"} if token and auth is None else {}
        self._client = httpx.Client(
            base_url=self.url,
            timeout=timeout_s,
            auth=auth,
            headers=headers,
            verify=verify,
            cert=environ.get("MLFLOW_TRACKING_CLIENT_CERT_PATH") or None,
        )

    def close(self) -> None:
        self._client.close()

    def experiments(self) -> Iterator[Json]:
        """All of them, the deleted ones too."""
        body = {"view_type": "ALL", "max_results": PAGE, "order_by": ["experiment_id ASC"]}
        return self._search(f"{API}/experiments/search", body, "experiments")

    def runs(self, experiment_id: str) -> Iterator[Json]:
        """Those of an experiment, the deleted ones too, in the order in which they began."""
        body = {
            "experiment_ids": [experiment_id],
            "run_view_type": "ALL",
            "max_results": PAGE,
            "order_by": ["attributes.start_time ASC"],
        }
        return self._search(f"{API}/runs/search", body, "runs")

    def history(self, run_id: str, key: str) -> List[Json]:
        """All points of a metric."""
        query = {"run_id": run_id, "metric_key": key, "max_results": POINTS}
        return list(self._pages(f"{API}/metrics/get-history", query, "metrics"))

    def logged_models(self, experiment_id: str) -> Iterator[Json]:
        """Those of an experiment; none on a server that knows none. MLflow lists no deleted ones."""
        try:
            yield from self._search(
                f"{API}/logged-models/search", {"experiment_ids": [experiment_id], "max_results": MODELS_PAGE}, "models"
            )
        except NotFound:
            return

    def registered_models(self) -> Iterator[Json]:
        return self._pages(f"{API}/registered-models/search", {"max_results": 100}, "registered_models")

    def versions(self, model: str) -> List[Json]:
        """Those of a model, by number."""
        mark = '"' if "'" in model else "'"
        query = {"filter": f"name={mark}{model}{mark}", "max_results": PAGE}
        found = self._pages(f"{API}/model-versions/search", query, "model_versions")
        return sorted(found, key=lambda version: int(version["version"]))

    def prompts(self) -> List[str]:
        """The names of prompts; a server that knows none has none."""
        try:
            query = {"max_results": 100, "filter": PROMPT}
            return [p["name"] for p in self._pages(f"{API}/registered-models/search", query, "registered_models")]
        except ModelogError:
            return []

    def webhooks(self) -> List[str]:
        try:
            return [hook["name"] for hook in self._pages(f"{API}/webhooks", {"max_results": 100}, "webhooks")]
        except ModelogError:
            return []

    def traces(self, experiment_id: str) -> Iterator[Json]:
        """Those of an experiment, with what was assessed of them; a server before MLflow 3 assesses nothing."""
        place = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment_id}}
        body = {"locations": [place], "max_results": TRACES_PAGE}
        try:
            yield from self._search(f"{API_3}/traces/search", body, "traces")
        except NotFound:
            try:
                query = {"experiment_ids": [experiment_id], "max_results": TRACES_PAGE}
                yield from self._pages(f"{API}/traces", query, "traces")
            except NotFound:
                return

    def root_of(self, address: str) -> str:
        """The artifact URI that a version's source means; empty when the server does not know it, or not serve it."""
        try:
            if address.startswith("runs:/"):
                run_id, _, path = address[len("runs:/") :].partition("/")
                run = self._get(f"{API}/runs/get", {"run_id": run_id})["run"]
                address = f"{run['info']['artifact_uri']}/{path}"
            elif address.startswith("models:/m-"):
                model = self._get(f"{API}/logged-models/{address[len('models:/') :]}", {})["model"]
                address = model["info"]["artifact_uri"]
        except NotFound:
            return ""
        return address if PROXIED.fullmatch(address) else ""

    def files(self, root: str) -> Iterator[Tuple[str, int]]:
        """Path and size of every file under an artifact URI. Raises NotServed for one that is not the proxy's."""
        yield from self._files(_in_proxy(root), "", lambda _: False)

    def files_of_none(self, root: str, besides: Sequence[str]) -> Iterator[Tuple[str, int]]:
        """The same of those under the root of an experiment that belong to no run, logged model or trace.

        What is in the roots `besides` is another experiment's.
        """
        inside = _in_proxy(root).strip("/")
        others = {_in_proxy(other).strip("/") for other in besides if PROXIED.fullmatch(other)} - {inside}

        def owned(folder: str) -> bool:
            return OWNED.fullmatch(folder) is not None or f"{inside}/{folder}".strip("/") in others

        yield from self._files(inside, "", owned)

    def download(self, root: str, path: str, target: Path) -> None:
        """Fetch one of those files, piece by piece."""
        address = f"{PROXY}/{quote(_in_proxy(root))}/{quote(path)}"
        for attempt in range(RETRIES + 1):
            try:
                with self._client.stream("GET", address) as response:
                    if response.status_code >= 400:
                        response.read()
                        raise _problem(response)
                    with target.open("wb") as file:
                        for piece in response.iter_bytes():
                            file.write(piece)
                    return
            except (httpx.TransportError, Unavailable) as error:
                self._wait(attempt, error)

    def _files(self, root: str, folder: str, left_out: Callable[[str], bool]) -> Iterator[Tuple[str, int]]:
        for entry in self._get(PROXY, {"path": f"{root}/{folder}" if folder else root}).get("files", []):
            # Some servers tell paths from the folder, some only names.
            name = str(entry["path"]).rsplit("/", 1)[-1]
            path = f"{folder}/{name}" if folder else name
            if not entry.get("is_dir"):
                yield path, int(entry.get("file_size") or 0)
            elif not left_out(path):
                yield from self._files(root, path, left_out)

    def _search(self, path: str, body: Json, what: str) -> Iterator[Json]:
        return self._paged(lambda page: self._answer("POST", path, json={**body, **page}), what)

    def _pages(self, path: str, query: Json, what: str) -> Iterator[Json]:
        return self._paged(lambda page: self._get(path, {**query, **page}), what)

    @staticmethod
    def _paged(ask: Callable[[Json], Json], what: str) -> Iterator[Json]:
        """Every `what` of a list; the first page is asked for by no token."""
        asked: Json = {}
        while True:
            page = ask(asked)
            yield from page.get(what, [])
            token = page.get("next_page_token", "")
            if not token:
                return
            asked = {"page_token": token}

    def _get(self, path: str, query: Json) -> Json:
        return self._answer("GET", path, params=query)

    def _answer(self, verb: str, path: str, **arguments: Any) -> Json:
        for attempt in range(RETRIES + 1):
            try:
                response = self._client.request(verb, path, **arguments)
                if response.status_code >= 400:
                    raise _problem(response)
                return dict(response.json())
            except (httpx.TransportError, Unavailable) as error:
                self._wait(attempt, error)
            except ValueError:
                raise Unavailable(f"{self.url}{path} answered no JSON; is it an MLflow server?") from None
        raise AssertionError("unreachable")

    def _wait(self, attempt: int, error: Exception) -> None:
        if attempt == RETRIES:
            raise Unavailable(f"the MLflow server {self.url} does not answer: {error}") from None
        time.sleep(FIRST_PAUSE_S * 2**attempt)


def mapped(pairs: Optional[List[Json]]) -> Dict[str, str]:
    """[{"key": ..., "value": ...}] as a dict."""
    return {str(pair["key"]): str(pair.get("value", "")) for pair in pairs or []}


def _in_proxy(root: str) -> str:
    match = PROXIED.fullmatch(root)
    if match is None:
        raise NotServed(f"its files are at {root}, which the MLflow server does not serve")
    return match.group(1)


def _problem(response: httpx.Response) -> ModelogError:
    try:
        told = response.json()
        text = str(told.get("message") or told)
        code = str(told.get("error_code", ""))
    except (ValueError, AttributeError):
        text, code = response.text[:200], ""
    said = f"the MLflow server answered {response.status_code} to {response.request.url.path}: {text}"
    if response.status_code == 401:
        return Unauthenticated(f"{said}; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or a token")
    if response.status_code == 403:
        return Forbidden(said)
    if response.status_code == 404 or code in ("RESOURCE_DOES_NOT_EXIST", "ENDPOINT_NOT_FOUND"):
        return NotFound(said)
    if response.status_code == 429 or response.status_code >= 500:
        return Unavailable(said)
    return ModelogError(said)
