"""What the MLmodel file among a version's files says that they can be loaded as."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, List

import modelog
from modelog.errors import Unavailable
from modelog.types import Artifact

MLMODEL = "MLmodel"
ANY_PYTHON = "python_function"
# What a flavor calls the file that holds the model itself.
ITS_FILE = ("data", "model_data", "pickled_model", "model_path")
UNKNOWN_FLAVOR = "mlflow"


@dataclass(frozen=True)
class Described:
    """The files, the model itself first."""

    files: List[Artifact]
    flavor: str = UNKNOWN_FLAVOR
    flavors: Dict[str, Dict[str, Any]] = field(default_factory=dict)


def check_yaml() -> None:
    """Raises Unavailable when MLmodel files could not be read."""
    try:
        import yaml  # noqa: F401
    except ImportError:
        raise Unavailable("reading MLmodel files needs modelog[mlflow]: `pip install modelog[mlflow]`") from None


def described(client: modelog.Client, files: List[Artifact]) -> Described:
    """Without a file that can be read, what they are is not known."""
    import yaml

    file = next((each for each in files if each.path == MLMODEL), None)
    if file is None:
        return Described(files)
    with tempfile.TemporaryDirectory(prefix="modelog-import-") as folder:
        content = client.artifacts.download(file.digest, Path(folder) / MLMODEL).read_bytes()
    try:
        told = yaml.safe_load(content)
    except (yaml.YAMLError, ValueError):
        return Described(files)
    found = told.get("flavors") if isinstance(told, dict) else None
    flavors = {str(k): _plain(v) for k, v in found.items() if isinstance(v, dict)} if isinstance(found, dict) else {}
    flavor = next((name for name in flavors if name != ANY_PYTHON), ANY_PYTHON if flavors else UNKNOWN_FLAVOR)
    about = flavors.get(flavor, {})
    its_file = next((about[key] for key in ITS_FILE if about.get(key)), MLMODEL)
    return Described(sorted(files, key=lambda f: (f.path != its_file, f.path)), flavor, flavors)


def _plain(value: Any) -> Any:
    """As JSON has it: what YAML reads as a date or the like becomes text."""
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)
