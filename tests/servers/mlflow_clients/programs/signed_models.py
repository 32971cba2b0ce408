"""Registers models with signatures, and prints what they answer.

Its argument is the beginning of their names.
"""

import json
import sys
import warnings

import lightgbm
import mlflow
import numpy as np
import pandas as pd
import xgboost
from mlflow.models import infer_signature
from sklearn.linear_model import LinearRegression

warnings.simplefilter("ignore")
name = sys.argv[1]
rows = np.random.default_rng(1).normal(size=(200, 2))
x = pd.DataFrame({"a": rows[:, 0], "b": (rows[:, 1] * 10).astype(np.int64)})
late = (x["a"] + x["b"] / 10 > 0).astype(int)
WHERE = "name" if mlflow.__version__.startswith("3.") else "artifact_path"


def log(flavor, fitted, what, answers):
    more = {"pip_requirements": ["xgboost==3.2.0", "pandas>=2"]} | {WHERE: what}
    flavor.log_model(fitted, registered_model_name=f"{name} {what}", signature=infer_signature(x, answers), **more)


with mlflow.start_run():
    booster = xgboost.train({"objective": "binary:logistic", "max_depth": 3}, xgboost.DMatrix(x, late), 5)
    answers = booster.predict(xgboost.DMatrix(x))
    log(mlflow.xgboost, booster, "booster", answers)
    labels = xgboost.XGBClassifier(n_estimators=5).fit(x, late)
    log(mlflow.xgboost, labels, "labels", labels.predict(x))
    linear = LinearRegression().fit(x, late)
    log(mlflow.sklearn, linear, "linear", linear.predict(x))
    leaves = lightgbm.LGBMClassifier(n_estimators=5, verbose=-1).fit(x, late)
    log(mlflow.lightgbm, leaves.booster_, "leaves", leaves.booster_.predict(x))
    log(mlflow.lightgbm, leaves, "classes", leaves.predict(x))
    unsigned = {WHERE: "unsigned", "registered_model_name": f"{name} unsigned"}
    mlflow.xgboost.log_model(booster, pip_requirements=[], **unsigned)
every = {
    "booster": answers,
    "linear": linear.predict(x),
    "leaves": leaves.booster_.predict(x),
    "classes": leaves.predict(x),
}
told = {what: [float(value) for value in values[:5]] for what, values in every.items()}
print(json.dumps({"rows": x.head(5).to_dict("records"), "answers": told}))
