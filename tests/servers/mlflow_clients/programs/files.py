"""What a user's program does with artifacts. Run with MLFLOW_TRACKING_URI and MLFLOW_TRACKING_TOKEN set."""

import hashlib
import os

os.environ |= {"MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD": "true", "MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE": "1000000"}
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import mlflow
import numpy as np
from mlflow import MlflowClient
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

client = MlflowClient()
folder = Path("out")
(folder / "deep" / "er").mkdir(parents=True)
(folder / "a.txt").write_text("alpha")
(folder / "deep" / "b.bin").write_bytes(bytes(range(256)))
(folder / "deep" / "er" / "c.json").write_text("{}")
(folder / "empty").write_bytes(b"")
big = os.urandom(3_000_000)
Path("big.bin").write_bytes(big)

with mlflow.start_run() as active:
    mlflow.log_artifacts("out")
    mlflow.log_artifact("big.bin", artifact_path="large files")
    mlflow.log_dict({"x": [1, 2]}, "config/settings.json")
    mlflow.log_text("ünïcode", "Zürich/日本.txt")
    mlflow.log_text("one", "again.txt")
    mlflow.log_text("two", "again.txt")
run_id = active.info.run_id

listed = {entry.path: (entry.is_dir, entry.file_size) for entry in client.list_artifacts(run_id)}
assert listed == {
    "Zürich": (True, None),
    "a.txt": (False, 5),
    "again.txt": (False, 3),
    "config": (True, None),
    "deep": (True, None),
    "empty": (False, 0),
    "large files": (True, None),
}, listed
assert [entry.path for entry in client.list_artifacts(run_id, "deep")] == ["deep/b.bin", "deep/er"]
assert client.list_artifacts(run_id, "a.txt") == []
assert client.list_artifacts(run_id, "nothing/here") == []

whole = Path(client.download_artifacts(run_id, "", "."))
assert (whole / "deep" / "b.bin").read_bytes() == bytes(range(256))
assert (whole / "empty").read_bytes() == b""
assert (whole / "Zürich" / "日本.txt").read_text() == "ünïcode"
assert mlflow.artifacts.load_dict(f"runs:/{run_id}/config/settings.json") == {"x": [1, 2]}
assert mlflow.artifacts.load_text(f"runs:/{run_id}/again.txt") == "two"
# In parts, as clients of MLflow send large files; this raises when the server takes none.
repository = get_artifact_repository(client.get_run(run_id).info.artifact_uri)
repository._try_multipart_upload("big.bin", "in parts")
assert Path(client.download_artifacts(run_id, "in parts/big.bin")).read_bytes() == big

fetched = Path(mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path="large files/big.bin"))
assert hashlib.sha256(fetched.read_bytes()).digest() == hashlib.sha256(big).digest()

# What is made of objects: tables that grow, pictures with steps, figures.
with mlflow.start_run(run_id=run_id):
    for n in range(2):
        mlflow.log_table({"question": [f"q{n}"], "answer": [str(n)]}, artifact_file="tables/qa.json")
        mlflow.log_image(np.full((8, 8, 3), n * 100, dtype=np.uint8), key="dog", step=n)
    figure, axes = plt.subplots()
    axes.plot([1, 2, 3])
    mlflow.log_figure(figure, "figure.png")
assert list(mlflow.load_table("tables/qa.json", run_ids=[run_id])["question"]) == ["q0", "q1"]
pictures = [entry.path for entry in client.list_artifacts(run_id, "images") if entry.path.endswith(".png")]
assert len(pictures) == 2, pictures
assert Path(client.download_artifacts(run_id, pictures[0])).read_bytes().startswith(b"\x89PNG")

# After the end.
client.log_text(run_id, "late", "late.txt")
assert mlflow.artifacts.load_text(f"runs:/{run_id}/late.txt") == "late"
assert client.get_run(run_id).info.status == "FINISHED"

# Files and folders are deleted; a file that a registered version was made of is not.
repository.delete_artifacts("deep")
repository.delete_artifacts("a.txt")
repository.delete_artifacts("nothing/here")
assert not {"deep", "a.txt"} & {entry.path for entry in client.list_artifacts(run_id)}
name = f"files of {mlflow.__version__}"
client.create_registered_model(name)
client.log_text(run_id, "flavors: {}", "model/MLmodel")
client.create_model_version(name, f"runs:/{run_id}/model", run_id)
refused = ""
try:
    repository.delete_artifacts("model")
except Exception as error:
    refused = str(error)
assert f"is a file of {name} 1.0.0" in refused, refused

# Files under the root of an experiment, which belong to no run.
experiment_id = client.create_experiment(f"with files of {mlflow.__version__}")
root = get_artifact_repository(client.get_experiment(experiment_id).artifact_location)
root.log_artifacts("out", "sets")
root._try_multipart_upload("big.bin", "sets")
assert {entry.path for entry in root.list_artifacts("sets")} >= {"sets/a.txt", "sets/big.bin", "sets/deep"}
assert Path(root.download_artifacts("sets/deep/b.bin")).read_bytes() == bytes(range(256))
root.delete_artifacts("sets/deep")
assert "sets/deep" not in {entry.path for entry in root.list_artifacts("sets")}
assert not client.search_runs([experiment_id])
print(run_id)
