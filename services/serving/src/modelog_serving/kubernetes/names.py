"""What objects are called and labelled: names that DNS takes, and by which ours are found again."""

from __future__ import annotations

import re
from hashlib import sha256

from modelog_serving.deployment.state import Deployment
from modelog_serving.kubernetes.settings import KubernetesSettings

MANAGER = "modelog-serving"
MANAGED_BY, INSTALLATION = "app.kubernetes.io/managed-by", "modelog/installation"
DEPLOYMENT_ID, VERSION = "modelog/deployment-id", "modelog/version"
# A label has 63 characters; pods get ends of 17 after the name of their Deployment.
READABLE, DIGITS = 30, 8


def name_of(deployment: Deployment, version: str = "") -> str:
    """At most 46 characters, starting with a letter, and for each deployment and version its own."""
    said = f"{deployment.name}-{version}" if version else deployment.name
    readable = re.sub(r"[^a-z0-9]+", "-", said.lower()).strip("-")[:READABLE].strip("-")
    digits = sha256(f"{deployment.id} {version}".encode()).hexdigest()[:DIGITS]
    return "-".join(part for part in ("serve", readable, digits) if part)


def selector(settings: KubernetesSettings) -> str:
    """Finds every object that this installation made."""
    return f"{MANAGED_BY}={MANAGER},{INSTALLATION}={settings.installation}"


def labels(deployment: Deployment, settings: KubernetesSettings, version: str = "") -> dict[str, str]:
    """Those of every object; a pod is chosen by them too."""
    found = {
        MANAGED_BY: MANAGER,
        INSTALLATION: settings.installation,
        "app.kubernetes.io/part-of": "modelog",
        # By these two the network policies of the chart know who may call the registry.
        "app.kubernetes.io/instance": settings.installation,
        DEPLOYMENT_ID: deployment.id,
    }
    return found | ({VERSION: label_of(version)} if version else {})


def label_of(version: str) -> str:
    """A version may have a "+", which no label may."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", version)[:63].strip("._-")
