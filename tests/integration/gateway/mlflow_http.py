"""MLflow's API over plain HTTP, as its clients call it."""

from __future__ import annotations

from typing import Any

import httpx

API = "/api/2.0/mlflow"
FILES = "/api/2.0/mlflow-artifacts/artifacts"


class Mlflow:
    """Somebody's calls; each returns the JSON of the answer."""

    def __init__(self, http: httpx.Client) -> None:
        self.http = http

    def get(self, path: str, /, **query: Any) -> dict[str, Any]:
        return answer_of(self.http.get(API + path, params=query))

    def post(self, path: str, /, **body: Any) -> dict[str, Any]:
        return answer_of(self.http.post(API + path, json=body))

    def patch(self, path: str, /, **body: Any) -> dict[str, Any]:
        return answer_of(self.http.patch(API + path, json=body))

    def delete(self, path: str, /, **body: Any) -> dict[str, Any]:
        return answer_of(self.http.request("DELETE", API + path, json=body))

    def refused(self, path: str, status: int, code: str, /, **body: Any) -> str:
        """Post what is not taken; returns the message."""
        return refusal_of(self.http.post(API + path, json=body), status, code)

    def experiment(self, name: str, /, **body: Any) -> str:
        """A new experiment's id."""
        return str(self.post("/experiments/create", name=name, **body)["experiment_id"])

    def run(self, experiment_id: str = "0", /, **body: Any) -> str:
        """A new run's id."""
        return str(self.post("/runs/create", experiment_id=experiment_id, **body)["run"]["info"]["run_id"])

    def run_of(self, run_id: str) -> dict[str, Any]:
        run: dict[str, Any] = self.get("/runs/get", run_id=run_id)["run"]
        return run

    def data(self, run_id: str, kind: str = "metrics") -> dict[str, Any]:
        """Metrics, params or tags by their keys."""
        return {entry["key"]: entry["value"] for entry in self.run_of(run_id)["data"][kind]}


def answer_of(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def refusal_of(answer: httpx.Response, status: int, code: str) -> str:
    told = answer.json()
    assert (answer.status_code, told["error_code"]) == (status, code), answer.text
    assert set(told) == {"error_code", "message"}
    return str(told["message"])
