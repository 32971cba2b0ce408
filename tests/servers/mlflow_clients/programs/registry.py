"""Registers models, moves stages and aliases, tags, searches and deletes, as programs that use MLflow's registry do.

Its arguments are a name for the model and the token of a second person.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable

from mlflow import MlflowClient
from mlflow.exceptions import RestException

warnings.simplefilter("ignore")  # stages are deprecated, and used
name, others_token = sys.argv[1:]
client = MlflowClient()


def refusal(call: Callable[..., object], *arguments: str) -> RestException:
    """What the server says to a call that it must not take."""
    try:
        call(*arguments)
    except RestException as refused:
        return refused
    raise AssertionError(f"{arguments} should be refused")


made = client.create_registered_model(name, tags={"team": "air"}, description="Will it be late?")
assert made.name == name, made
assert refusal(client.create_registered_model, name).error_code == "RESOURCE_ALREADY_EXISTS"

for n in range(3):
    version = client.create_model_version(name, source=f"s3://bucket/{n}", tags={"n": str(n)}, description=f"try {n}")
    assert (version.version, version.current_stage, version.status) == (str(n + 1), "None", "READY"), version
assert client.get_model_version_download_uri(name, "2") == "s3://bucket/1"

client.set_registered_model_tag(name, "risk", "low")
client.delete_registered_model_tag(name, "team")
client.update_registered_model(name, description="late?")
found = client.get_registered_model(name)
assert (found.tags, found.description) == ({"risk": "low"}, "late?"), found
client.set_model_version_tag(name, "1", "checked", "yes")
client.delete_model_version_tag(name, "1", "n")
client.update_model_version(name, "1", description="the first")
one = client.get_model_version(name, "1")
assert one.tags == {"checked": "yes", "modelog.version": "1.0.0"}, one.tags
assert one.description == "the first", one

client.set_registered_model_alias(name, "champion", "1")
client.set_registered_model_alias(name, "champion", "2")
assert client.get_model_version_by_alias(name, "champion").version == "2"
assert client.get_registered_model(name).aliases == {"champion": "2"}
client.delete_registered_model_alias(name, "champion")
assert "has no alias" in str(refusal(client.get_model_version_by_alias, name, "champion"))

assert client.transition_model_version_stage(name, "1", "Staging").current_stage == "Staging"
told = refusal(client.transition_model_version_stage, name, "1", "Production")
assert (told.error_code, "needs an approval by someone other than" in str(told)) == ("PERMISSION_DENIED", True), told
latest = {v.current_stage: v.version for v in client.get_latest_versions(name)}
assert latest == {"Staging": "1", "None": "3"}, latest
assert [v.version for v in client.get_latest_versions(name, ["Staging"])] == ["1"]

assert [m.name for m in client.search_registered_models(f"name = '{name}' AND tags.risk = 'low'")] == [name]
assert [m.name for m in client.search_registered_models(f"name ILIKE '{name.upper()}%'")] == [name]
newest = client.search_model_versions(f"name='{name}'", max_results=2, order_by=["version_number DESC"])
assert [v.version for v in newest] == ["3", "2"], newest
rest = client.search_model_versions(
    f"name='{name}'", max_results=2, order_by=["version_number DESC"], page_token=newest.token
)
assert [v.version for v in rest] == ["1"], rest
assert [v.version for v in client.search_model_versions(f"name = '{name}' and tags.checked = 'yes'")] == ["1"]

client.delete_model_version(name, "3")
assert {v.version for v in client.search_model_versions(f"name = '{name}'")} == {"1", "2"}
assert client.create_model_version(name, source="s3://bucket/4").version == "4"

os.environ["MLFLOW_TRACKING_TOKEN"] = others_token
assert client.get_model_version(name, "1").user_id == "alice"
moved = client.transition_model_version_stage(name, "2", "Staging", archive_existing_versions=True)
assert moved.current_stage == "Staging"
assert client.get_model_version(name, "1").current_stage == "Archived"

client.rename_registered_model(name, f"{name}, renamed")
renamed = client.get_registered_model(f"{name}, renamed")
assert (renamed.name, renamed.tags) == (f"{name}, renamed", {"risk": "low"}), renamed
assert refusal(client.get_registered_model, name).error_code == "RESOURCE_DOES_NOT_EXIST"
assert {v.version for v in client.search_model_versions(f"name = '{renamed.name}'")} == {"1", "2", "4"}
assert client.create_registered_model(name).tags == {}
assert refusal(client.rename_registered_model, renamed.name, name).error_code == "RESOURCE_ALREADY_EXISTS"
client.delete_registered_model(name)
assert refusal(client.rename_registered_model, renamed.name, name).error_code == "RESOURCE_ALREADY_EXISTS"
name = renamed.name
client.delete_registered_model(name)
assert not client.search_registered_models(f"name = '{name}'")
