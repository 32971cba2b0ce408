"""What a user's program does with models. Run with MLFLOW_TRACKING_URI and MLFLOW_TRACKING_TOKEN set."""

import mlflow
import numpy as np
import pandas as pd
from mlflow import MlflowClient
from mlflow.models import infer_signature
from sklearn.linear_model import LinearRegression

THREE = mlflow.__version__.startswith("3.")
client = MlflowClient()
x = pd.DataFrame({"a": [1.0, 2.0, 3.0, 4.0], "b": [0.0, 1.0, 0.0, 1.0]})
y = x["a"] * 2 + x["b"]
fitted = LinearRegression().fit(x, y)


class Doubling(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input["a"] * 2


where = {"name": "linear"} if THREE else {"artifact_path": "linear"}
with mlflow.start_run() as active:
    mlflow.log_metric("before", 1)
    dataset = mlflow.data.from_pandas(x, source="memory", name="four rows")
    mlflow.log_input(dataset, context="training")
    logged = mlflow.sklearn.log_model(
        fitted,
        **where,
        signature=infer_signature(x, fitted.predict(x)),
        input_example=x.head(1),
        pip_requirements=["scikit-learn"],
        **({"params": {"intercept": "yes"}, "tags": {"kind": "linear"}} if THREE else {}),
    )
    mlflow.pyfunc.log_model(**(where | {next(iter(where)): "doubling"}), python_model=Doubling(), pip_requirements=[])
run_id = active.info.run_id

assert np.allclose(mlflow.sklearn.load_model(logged.model_uri).predict(x), y)
assert np.allclose(mlflow.pyfunc.load_model(logged.model_uri).predict(x), y)
assert np.allclose(mlflow.pyfunc.load_model(f"runs:/{run_id}/linear").predict(x), y)
assert list(mlflow.pyfunc.load_model(f"runs:/{run_id}/doubling").predict(x)) == [2.0, 4.0, 6.0, 8.0]
assert mlflow.models.get_model_info(logged.model_uri).signature.inputs.input_names() == ["a", "b"]
run = client.get_run(run_id)
assert [given.dataset.name for given in run.inputs.dataset_inputs] == ["four rows"]
assert client.search_runs([run.info.experiment_id], "dataset.name = 'four rows'")[0].info.run_id == run_id

if THREE:
    model = mlflow.get_logged_model(logged.model_id)
    assert (model.name, model.status, model.source_run_id) == ("linear", "READY", run_id)
    assert (model.params, model.tags["kind"]) == ({"intercept": "yes"}, "linear")
    assert logged.model_id in [output.model_id for output in run.outputs.model_outputs]
    client.set_logged_model_tags(model.model_id, {"stage": "trial"})
    client.delete_logged_model_tag(model.model_id, "kind")
    assert client.get_logged_model(model.model_id).tags["stage"] == "trial"
    assert "kind" not in client.get_logged_model(model.model_id).tags
    with mlflow.start_run(run_id=run_id):
        mlflow.log_metric("rmse", 0.25, model_id=model.model_id, dataset=dataset)
    measured = client.get_logged_model(model.model_id).metrics
    assert [(m.key, m.value, m.run_id, m.dataset_name) for m in measured if m.key == "rmse"] == [
        ("rmse", 0.25, run_id, "four rows")
    ], measured
    found = mlflow.search_logged_models(
        [run.info.experiment_id],
        filter_string=f"source_run_id = '{run_id}' AND tags.stage = 'trial'",
        order_by=[{"field_name": "metrics.rmse", "ascending": True}],
        output_format="list",
    )
    assert [m.model_id for m in found] == [model.model_id]
    assert "MLmodel" in [entry.path for entry in client.list_logged_model_artifacts(model.model_id)]
    broken = client.create_logged_model(run.info.experiment_id, name="broken", source_run_id=run_id)
    assert broken.status == "PENDING"
    client.delete_logged_model(broken.model_id)
    names = [m.name for m in client.search_logged_models([run.info.experiment_id])]
    assert "broken" not in names, names
print(run_id)
