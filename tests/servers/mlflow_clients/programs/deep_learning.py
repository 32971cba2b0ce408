"""Flavours of deep learning, and their autologging. Run with MLFLOW_TRACKING_URI and MLFLOW_TRACKING_TOKEN set."""

import json
import os

os.environ["KERAS_BACKEND"] = "torch"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import keras
import lightning
import mlflow
import numpy as np
import pandas as pd
import torch
import transformers
from mlflow import MlflowClient
from mlflow.models import infer_signature
from skl2onnx import to_onnx
from sklearn.linear_model import LinearRegression
from torch.utils.data import DataLoader, TensorDataset

torch.set_num_threads(1)
# A model's name is its path in a run with the clients before 3.
NAMED = "name" if int(mlflow.__version__.split(".")[0]) >= 3 else "artifact_path"
client = MlflowClient()
draw = np.random.default_rng(7)
x = draw.normal(size=(64, 3)).astype(np.float32)
y = (x @ np.array([1.0, -2.0, 0.5], dtype=np.float32))[:, None]
mlflow.set_experiment("deep learning")


def last():
    return client.get_run(mlflow.last_active_run().info.run_id)


# PyTorch.
module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 1)).eval()
expected = module(torch.from_numpy(x)).detach().numpy()
with mlflow.start_run():
    logged = mlflow.pytorch.log_model(module, **{NAMED: "module"}, input_example=x[:2], pip_requirements=["torch"])
assert np.allclose(mlflow.pytorch.load_model(logged.model_uri)(torch.from_numpy(x)).detach().numpy(), expected)
assert np.allclose(mlflow.pyfunc.load_model(logged.model_uri).predict(x), expected)

# ONNX.
linear = LinearRegression().fit(x, y)
with mlflow.start_run():
    signature = infer_signature(x, linear.predict(x))
    registered = {NAMED: "onnx", "registered_model_name": f"onnx {mlflow.__version__}"}
    logged = mlflow.onnx.log_model(to_onnx(linear, x[:1]), **registered, signature=signature)
answer = mlflow.pyfunc.load_model(logged.model_uri).predict(x)
assert np.allclose(next(iter(answer.values())), linear.predict(x), atol=1e-4)

# Keras: its autologging keeps a curve of each epoch, and the model.
mlflow.keras.autolog()
network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
network.compile(optimizer="sgd", loss="mse")
network.fit(x, y, epochs=3, batch_size=16, verbose=0)
run = last()
assert [m.step for m in client.get_metric_history(run.info.run_id, "loss")] == [0, 1, 2]
assert run.data.params["epochs"] == "3", run.data.params
mlflow.keras.autolog(disable=True)
with mlflow.start_run():
    logged = mlflow.keras.log_model(
        network, **{NAMED: "network"}, signature=infer_signature(x, network.predict(x, verbose=0))
    )
assert np.allclose(mlflow.keras.load_model(logged.model_uri).predict(x, verbose=0), network.predict(x, verbose=0))

# PyTorch's autologging, which is for Lightning.
mlflow.pytorch.autolog(log_models=False)


class Fit(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(3, 1)

    def training_step(self, batch, _):
        loss = torch.nn.functional.mse_loss(self.layer(batch[0]), batch[1])
        self.log("train_loss", loss, on_epoch=True)
        return loss

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


data = DataLoader(TensorDataset(torch.from_numpy(x), torch.from_numpy(y)), batch_size=16)
trainer = lightning.Trainer(
    max_epochs=3, accelerator="cpu", logger=False, enable_progress_bar=False, enable_checkpointing=False
)
trainer.fit(Fit(), data)
run = last()
assert run.data.params["optimizer_name"] == "SGD", run.data.params
curve = [key for key in run.data.metrics if key.startswith("train_loss")]
assert client.get_metric_history(run.info.run_id, curve[0]), run.data.metrics
assert run.info.status == "FINISHED"
mlflow.pytorch.autolog(disable=True)

# Hugging Face: a model of random weights and a vocabulary of one's own, so nothing is fetched.
with open("vocab.txt", "w") as vocabulary:
    vocabulary.write("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "late", "on", "time"]))
tokenizer = transformers.BertTokenizerFast("vocab.txt")
tiny = transformers.BertConfig(
    vocab_size=8, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8, num_labels=2
)
classifier = transformers.BertForSequenceClassification(tiny).eval()
pipeline = transformers.pipeline("text-classification", model=classifier, tokenizer=tokenizer, device="cpu")
with mlflow.start_run():
    logged = mlflow.transformers.log_model(pipeline, **{NAMED: "text"}, task="text-classification", pip_requirements=[])
again = mlflow.transformers.load_model(logged.model_uri)
assert again("late on time") == pipeline("late on time")

# Its trainer reports by itself what it does.
features = [dict(tokenizer("late on"), labels=1), dict(tokenizer("on time"), labels=0)] * 4
arguments = transformers.TrainingArguments(
    "out", num_train_epochs=2, logging_steps=1, report_to="mlflow", use_cpu=True, save_strategy="no", disable_tqdm=True
)
with mlflow.start_run() as active:
    transformers.Trainer(model=classifier, args=arguments, train_dataset=features, processing_class=tokenizer).train()
run = client.get_run(active.info.run_id)
assert client.get_metric_history(run.info.run_id, "loss"), run.data.metrics
assert run.data.params["num_train_epochs"] == "2", run.data.params

# Evaluation of a model over a dataset: metrics and tables.
frame = pd.DataFrame(x, columns=list("abc")).assign(y=y[:, 0])
with mlflow.start_run() as active:
    logged = mlflow.sklearn.log_model(
        LinearRegression().fit(frame[list("abc")], frame["y"]), **{NAMED: "linear"}, pip_requirements=["scikit-learn"]
    )
    evaluated = mlflow.models.evaluate(
        logged.model_uri, frame, targets="y", model_type="regressor", evaluator_config={"log_explainer": False}
    )
assert evaluated.metrics["r2_score"] > 0.99
assert client.get_run(active.info.run_id).data.metrics["r2_score"] > 0.99
print(json.dumps({"rows": x[:3].tolist(), "answers": linear.predict(x[:3]).reshape(-1).tolist()}))
