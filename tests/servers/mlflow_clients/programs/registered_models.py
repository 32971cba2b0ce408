"""Logs a model under a registered name, and loads it again by its version and by an alias.

Its argument is the name of the registered model.
"""

import sys
import warnings

import mlflow
import numpy as np
from mlflow import MlflowClient
from sklearn.linear_model import LinearRegression

warnings.simplefilter("ignore")
name = sys.argv[1]
client = MlflowClient()
x = np.array([[1.0], [2.0], [3.0]])
fitted = LinearRegression().fit(x, x[:, 0] * 2)
where = {"name": "linear"} if mlflow.__version__.startswith("3.") else {"artifact_path": "linear"}

with mlflow.start_run() as run:
    mlflow.sklearn.log_model(
        fitted, **where, registered_model_name=name, pip_requirements=["scikit-learn"], input_example=x[:1]
    )
again = mlflow.register_model(f"runs:/{run.info.run_id}/linear", name)
assert again.version == "2", again
client.set_registered_model_alias(name, "champion", "2")
for uri in (f"models:/{name}/1", f"models:/{name}/2", f"models:/{name}@champion", f"models:/{name}/latest"):
    assert np.allclose(mlflow.pyfunc.load_model(uri).predict(x), [2.0, 4.0, 6.0]), uri
assert client.get_model_version(name, "1").run_id == run.info.run_id
