"""Makes a workspace, works in it, and looks at what is there, as programs that use MLflow's workspaces do.

Its argument is a name for the workspace.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

(name,) = sys.argv[1:]


def refusal(call: Callable[[str], object], argument: str) -> MlflowException:
    """What the server says to a call that it must not take."""
    try:
        call(argument)
    except MlflowException as refused:
        return refused
    raise AssertionError(f"{argument} should be refused")


MlflowClient().create_experiment(f"elsewhere-{name}")

made = mlflow.create_workspace(name, description="made by a client")
assert (made.name, made.description) == (name, "made by a client"), made
assert name in [workspace.name for workspace in mlflow.list_workspaces()]
mlflow.update_workspace(name, description="described anew")
assert mlflow.get_workspace(name).description == "described anew"

mlflow.set_workspace(name)
client = MlflowClient()
experiment_id = client.create_experiment(f"there-{name}")
with mlflow.start_run(experiment_id=experiment_id) as run:
    mlflow.log_metric("auc", 0.7)
client.create_registered_model(f"model-{name}")
assert [e.name for e in client.search_experiments()] == [f"there-{name}"]
assert client.get_experiment_by_name(f"elsewhere-{name}") is None
assert [m.name for m in client.search_registered_models()] == [f"model-{name}"]
assert client.get_run(run.info.run_id).data.metrics == {"auc": 0.7}

mlflow.set_workspace("default")
assert f"there-{name}" not in [e.name for e in MlflowClient().search_experiments()]
elsewhere_refused = refusal(MlflowClient().get_registered_model, f"model-{name}")
assert elsewhere_refused.error_code == "RESOURCE_DOES_NOT_EXIST", elsewhere_refused
assert "move or delete them first" in str(refusal(mlflow.delete_workspace, name))
