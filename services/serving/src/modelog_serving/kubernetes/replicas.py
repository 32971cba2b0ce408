"""Starts what keeps replicas in Kubernetes, in the process that decides on deployments."""

from __future__ import annotations

from modelog_common.config import SQLITE
from modelog_common.domain.errors import Invalid
from modelog_common.service import Host

from modelog_serving.control import DeploymentEntities
from modelog_serving.kubernetes.settings import load_kubernetes_settings
from modelog_serving.routing.routes import Routes


def start(host: Host, routes: Routes, deployments: DeploymentEntities) -> None:
    """Raises Invalid for settings that cannot be: pods share no disk, they follow a log that is on a server."""
    # Here, because aiohttp's client is a tenth of a second that only those pay who need it.
    from modelog_serving.kubernetes.pods import template_of
    from modelog_serving.kubernetes.reconciler import Reconciler

    if host.settings.event_store.startswith(SQLITE):
        raise Invalid.field(
            "MODELOG_EVENT_STORE",
            "is a file, which pods cannot follow; with MODELOG_SERVING_REPLICAS=kubernetes allowed is postgresql://",
        )
    settings = load_kubernetes_settings()
    settings.own_namespace()
    reconciler = Reconciler(routes, deployments, template_of(settings, host.settings), settings, host.clock)
    host.background("replicas in Kubernetes", reconciler.run)
