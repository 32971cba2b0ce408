"""What an MLmodel file tells of the model beside it: as what it can be loaded, which file it is, what it takes."""

from __future__ import annotations

from typing import Any

import msgspec

from modelog_registry.mlmodel.environment import CONDA, PYTHON, REQUIREMENTS
from modelog_registry.mlmodel.signature import signature_in
from modelog_registry.mlmodel.untrusted import NotRead, mapping_in
from modelog_registry.model.signature import Signature

MLMODEL = "MLmodel"
ANY_PYTHON, UNKNOWN = "python_function", "mlflow"
MOST_FLAVORS, LONGEST_FLAVOR = 50, 50
# What a flavor calls the file that holds the model itself.
ITS_FILE = ("data", "model_data", "pickled_model", "model_path", "python_model")
# The files of the environment, by what the flavor python_function calls them.
OF_ENVIRONMENT = {"conda": CONDA, "virtualenv": PYTHON}


class Told(msgspec.Struct, frozen=True):
    """`missing` says in words what could not be taken over."""

    flavor: str = UNKNOWN
    flavors: dict[str, dict[str, Any]] = {}
    # The path of the model itself, empty when the file names none.
    its_file: str = ""
    signature: Signature | None = None
    # Paths of files that tell of the environment, by the names that MLflow gives them.
    environment: dict[str, str] = {}
    missing: tuple[str, ...] = ()


def told_by(content: bytes) -> Told:
    """An MLmodel file that cannot be read is a file like others: then only `missing` says something."""
    try:
        mlmodel = mapping_in(content)
        flavors = _flavors(mlmodel.get("flavors"))
    except NotRead as error:
        return Told(missing=(f"{MLMODEL} {error}",))
    flavor = next((name for name in flavors if name != ANY_PYTHON), ANY_PYTHON if flavors else UNKNOWN)
    about = flavors.get(flavor, {})
    its_file = next((str(about[key]) for key in ITS_FILE if about.get(key)), "")
    found = Told(flavor, flavors, its_file, None, _environment(flavors))
    signature = mlmodel.get("signature")
    try:
        return msgspec.structs.replace(found, signature=signature_in(signature)) if signature is not None else found
    except NotRead as error:
        return msgspec.structs.replace(found, missing=(f"the signature {error}",))


def _flavors(told: Any) -> dict[str, dict[str, Any]]:
    known = {name: about for name, about in told.items() if isinstance(about, dict)} if isinstance(told, dict) else {}
    if len(known) > MOST_FLAVORS or any(not 0 < len(name) <= LONGEST_FLAVOR for name in known):
        raise NotRead(f"has more than {MOST_FLAVORS} flavors, or names of more than {LONGEST_FLAVOR} characters")
    return known


def _environment(flavors: dict[str, dict[str, Any]]) -> dict[str, str]:
    """MLflow 1 named conda's file alone, as a text."""
    named = flavors.get(ANY_PYTHON, {}).get("env")
    files = named if isinstance(named, dict) else {"conda": named}
    found = {OF_ENVIRONMENT[kind]: str(path) for kind, path in files.items() if kind in OF_ENVIRONMENT and path}
    return {REQUIREMENTS: REQUIREMENTS, CONDA: CONDA, PYTHON: PYTHON, **found}
