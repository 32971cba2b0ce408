"""Whether an InferenceService is one by KServe's own definition, as its SDK's classes hold it: argv is the manifest.

Those classes leave out what they do not know, so each field is looked up, all the way down to those of Kubernetes.
"""

from __future__ import annotations

import json
import re
import sys
from typing import Any

import kubernetes.client.models
from kserve import models

PLAIN = {"str": str, "int": int, "bool": bool, "float": (int, float), "ResourceQuantity": str, "datetime": str}


def check(value: Any, kind: str, path: str) -> None:
    """Raise SystemExit for a field that the class of this name does not have, or one of another type."""
    listed, mapped = re.fullmatch(r"[Ll]ist\[(.+)\]", kind), re.fullmatch(r"[Dd]ict[(\[]str, (.+)[)\]]", kind)
    if kind == "object":
        return
    if kind in PLAIN:
        if not isinstance(value, PLAIN[kind]) or (kind != "bool" and isinstance(value, bool)):
            sys.exit(f"{path} is {value!r}, which is no {kind}")
    elif listed:
        for number, each in enumerate(value):
            check(each, listed[1], f"{path}[{number}]")
    elif mapped:
        for name, each in value.items():
            check(each, mapped[1], f"{path}.{name}")
    else:
        made = getattr(models, kind, None) or getattr(kubernetes.client.models, kind)
        fields = {made.attribute_map[name]: of for name, of in made.openapi_types.items()}
        for name, each in value.items():
            if name not in fields:
                sys.exit(f"{path}.{name} is not known to {kind}")
            check(each, fields[name], f"{path}.{name}")


manifest = json.loads(sys.argv[1])
assert (manifest["apiVersion"], manifest["kind"]) == ("serving.kserve.io/v1beta1", "InferenceService")
check(manifest, "V1beta1InferenceService", "")
print("checked")
