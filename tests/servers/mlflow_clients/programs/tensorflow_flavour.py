"""TensorFlow, by its flavour and autologging. Run with MLFLOW_TRACKING_URI and MLFLOW_TRACKING_TOKEN set."""

import os

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"

import keras
import mlflow
import numpy as np
import tensorflow as tf
from mlflow import MlflowClient
from mlflow.models import infer_signature
from mlflow.types import Schema, TensorSpec

tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(1)
# A model's name is its path in a run with the clients before 3.
NAMED = "name" if int(mlflow.__version__.split(".")[0]) >= 3 else "artifact_path"
REQUIREMENTS = {"pip_requirements": ["tensorflow-cpu"]}  # else each is found out by loading the model once more
client = MlflowClient()
draw = np.random.default_rng(7)
x = draw.normal(size=(64, 3)).astype(np.float32)
y = (x @ np.array([1.0, -2.0, 0.5], dtype=np.float32))[:, None]
mlflow.set_experiment("tensorflow")

# Its autologging keeps a curve of each epoch and what was given to fit.
mlflow.tensorflow.autolog(log_models=False)
network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
network.compile(optimizer="sgd", loss="mse")
network.fit(x, y, epochs=3, batch_size=16, verbose=0)
run = client.get_run(mlflow.last_active_run().info.run_id)
assert [m.step for m in client.get_metric_history(run.info.run_id, "loss")] == [0, 1, 2]
assert run.data.params["epochs"] == "3", run.data.params
assert run.info.status == "FINISHED"
mlflow.tensorflow.autolog(disable=True)

# A network.
expected = network.predict(x, verbose=0)
with mlflow.start_run():
    signature = infer_signature(x, expected)
    logged = mlflow.tensorflow.log_model(network, **{NAMED: "network"}, signature=signature, **REQUIREMENTS)
assert np.allclose(mlflow.tensorflow.load_model(logged.model_uri).predict(x, verbose=0), expected)
assert np.allclose(mlflow.pyfunc.load_model(logged.model_uri).predict(x), expected)


# What is no network: a module with a function of its own.
class Doubled(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32)])
    def __call__(self, rows):
        return 2 * rows


signature = mlflow.models.ModelSignature(inputs=Schema([TensorSpec(np.dtype("float32"), (-1, 3))]))
with mlflow.start_run():
    logged = mlflow.tensorflow.log_model(Doubled(), **{NAMED: "doubled"}, signature=signature, **REQUIREMENTS)
again = mlflow.tensorflow.load_model(logged.model_uri)
assert np.allclose(again(tf.constant(x)).numpy(), 2 * x)
