"""MLflow's own autologging, of three frameworks. Run with MLFLOW_TRACKING_URI and MLFLOW_TRACKING_TOKEN set."""

import sys

import lightgbm
import mlflow
import numpy as np
import pandas as pd
import sklearn.metrics
import xgboost
from mlflow import MlflowClient
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import GridSearchCV

client = MlflowClient()
draw = np.random.default_rng(7)
x = pd.DataFrame(draw.normal(size=(200, 4)), columns=list("abcd"))
y = pd.Series((x["a"] + x["b"] > 0).astype(int), name="y")
mlflow.set_experiment(f"autologging {sys.argv[1]}")
mlflow.autolog()


def last():
    return client.get_run(mlflow.last_active_run().info.run_id)


# scikit-learn: a search over parameters makes a run with children, and a score after the end belongs to it too.
search = GridSearchCV(RandomForestClassifier(n_estimators=5, random_state=0), {"max_depth": [2, 3]}, cv=2).fit(x, y)
parent = last()
assert parent.data.params["best_max_depth"] in ("2", "3")
children = client.search_runs(
    [parent.info.experiment_id],
    f"tags.mlflow.parentRunId = '{parent.info.run_id}'",
    order_by=["metrics.mean_test_score"],
)
assert len(children) == 2
fitted = RandomForestClassifier(n_estimators=5, random_state=0).fit(x, y)
sklearn.metrics.accuracy_score(y, fitted.predict(x))
run = last()
assert run.data.params["n_estimators"] == "5"
assert run.data.metrics["training_accuracy_score"] > 0.9
assert [key for key in run.data.metrics if key.startswith("accuracy_score")], run.data.metrics
assert run.info.status == "FINISHED"
assert "training_confusion_matrix.png" in [entry.path for entry in client.list_artifacts(run.info.run_id)]

# XGBoost: a curve.
train = xgboost.DMatrix(x, y)
xgboost.train({"objective": "binary:logistic", "max_depth": 2, "nthread": 1}, train, 6, evals=[(train, "train")])
run = last()
assert run.data.params["max_depth"] == "2"
curve = [key for key in run.data.metrics if key.startswith("train-logloss")]
assert [m.step for m in client.get_metric_history(run.info.run_id, curve[0])] == list(range(6))

# LightGBM.
data = lightgbm.Dataset(x, y)
lightgbm.train({"objective": "binary", "verbose": -1, "num_threads": 1}, data, 4, valid_sets=[data], valid_names=["t"])
run = last()
assert run.data.params["objective"] == "binary"
assert [key for key in run.data.metrics if key.startswith("t-binary_logloss")]
model = mlflow.pyfunc.load_model(f"runs:/{run.info.run_id}/model")
assert model.predict(x).shape == (200,)
