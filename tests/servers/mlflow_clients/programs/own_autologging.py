"""Modelog's own autologging of every framework that it watches. Run with MODELOG_URL and MODELOG_TOKEN set."""

import os

os.environ["KERAS_BACKEND"] = "torch"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import keras
import lightgbm
import lightning.pytorch
import modelog
import numpy as np
import torch
import transformers
from torch.utils.data import DataLoader, TensorDataset

torch.set_num_threads(1)
client = modelog.connect()
draw = np.random.default_rng(7)
x = draw.normal(size=(64, 3)).astype(np.float32)
y = (x @ np.array([1.0, -2.0, 0.5], dtype=np.float32))[:, None]


def told(run):
    found = client.runs.get(run.id)
    return found, {a.path for a in found.artifacts if not a.path.startswith("environment/")}


# LightGBM.
data = lightgbm.Dataset(x, (y[:, 0] > 0).astype(int))
with modelog.start_run("own autologging", "lightgbm") as run, modelog.autolog(run):
    lightgbm.train(
        {"objective": "binary", "verbose": -1, "num_threads": 1, "min_data_in_leaf": 2}, data, 4,
        valid_sets=[data], valid_names=["t"],
    )  # fmt: skip
found, kept = told(run)
assert (found.parameters["objective"], found.parameters["num_boost_round"]) == ("binary", 4), found.parameters
assert client.runs.history(run.id, "t-binary_logloss").steps == [0, 1, 2, 3]
assert kept == {"model.txt", "feature_importance.json"}, kept

# Keras.
network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
network.compile(optimizer="sgd", loss="mse")
with modelog.start_run("own autologging", "keras") as run, modelog.autolog(run):
    network.fit(x, y, epochs=3, batch_size=16, verbose=0)
found, kept = told(run)
assert (found.parameters["epochs"], found.parameters["loss"], found.parameters["parameters"]) == (3, "mse", 4)
assert client.runs.history(run.id, "loss").steps == [0, 1, 2]
assert kept == {"model.keras", "model_summary.txt"}, kept


# PyTorch, by way of Lightning.
class Fit(lightning.pytorch.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(3, 1)

    def training_step(self, batch, _):
        loss = torch.nn.functional.mse_loss(self.layer(batch[0]), batch[1])
        self.log("train_loss", loss, on_epoch=True, on_step=False)
        return loss

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


batches = DataLoader(TensorDataset(torch.from_numpy(x), torch.from_numpy(y)), batch_size=16)
trainer = lightning.pytorch.Trainer(
    max_epochs=3, accelerator="cpu", logger=False, enable_progress_bar=False, enable_checkpointing=False
)
with modelog.start_run("own autologging", "lightning") as run, modelog.autolog(run):
    trainer.fit(Fit(), batches)
found, kept = told(run)
assert (found.parameters["optimizer"], found.parameters["optimizer_lr"], found.parameters["max_epochs"]) == (
    "SGD",
    0.1,
    3,
)
assert client.runs.history(run.id, "train_loss").steps == [0, 1, 2]
assert kept == {"model.ckpt", "model_summary.txt"}, kept

# Hugging Face's trainer.
with open("vocab.txt", "w") as vocabulary:
    vocabulary.write("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "late", "on", "time"]))
tokenizer = transformers.BertTokenizerFast("vocab.txt")
tiny = transformers.BertConfig(
    vocab_size=8, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8, num_labels=2
)
features = [dict(tokenizer("late on"), labels=1), dict(tokenizer("on time"), labels=0)] * 4
arguments = transformers.TrainingArguments(
    "out", num_train_epochs=2, logging_steps=1, report_to="none", use_cpu=True, save_strategy="no", disable_tqdm=True
)
with modelog.start_run("own autologging", "transformers") as run, modelog.autolog(run):
    transformers.Trainer(
        model=transformers.BertForSequenceClassification(tiny), args=arguments, train_dataset=features,
        processing_class=tokenizer,
    ).train()  # fmt: skip
found, kept = told(run)
assert found.parameters["num_train_epochs"] == 2
assert client.runs.history(run.id, "loss").steps == [1, 2]
assert "model/config.json" in kept, kept
