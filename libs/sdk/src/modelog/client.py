"""The client: one object for the platform, with an attribute for each of its parts."""

from __future__ import annotations

import os
from types import TracebackType
from typing import Dict, List, Optional, Sequence, Type

from modelog.api.ab_tests import AbTests
from modelog.api.audit import Audit
from modelog.api.batches import Batches
from modelog.api.benchmarks import Benchmarks
from modelog.api.cards import Cards
from modelog.api.changes import Changes
from modelog.api.datasets import Artifacts, Datasets
from modelog.api.dead_letters import DeadLetters
from modelog.api.deployments import Deployments
from modelog.api.experiments import Runs
from modelog.api.jobs import Jobs
from modelog.api.learning import Learnings
from modelog.api.levels import Levels
from modelog.api.lineage import LineageGraph
from modelog.api.links import Links
from modelog.api.logged_models import LoggedModels
from modelog.api.models import Models
from modelog.api.monitoring import Monitors
from modelog.api.releases import Releases
from modelog.api.retirements import Retirements, Slas
from modelog.api.signatures import Signatures
from modelog.api.trials import Trials
from modelog.api.users import Users
from modelog.api.webhooks import Webhooks
from modelog.api.workspaces import Workspaces
from modelog.config import resolve
from modelog.transport import Transport
from modelog.types import Identity, Record, ServiceHealth, ServiceRebuilt, TopicProgress


class _Services(Record):
    services: List[ServiceHealth] = []


class _Rebuilt(Record):
    services: List[ServiceRebuilt] = []


class Client:
    """A connection to a Modelog platform.

    >>> client = modelog.connect()                          # doctest: +SKIP
    >>> client.models.get("flight-delay").versions[0].stage  # doctest: +SKIP
    'STAGE_PRODUCTION'

    With `as_of`, a position or an RFC 3339 time, all that it is asked is answered as of that moment, and it changes
    nothing.
    """

    def __init__(self, url: str, token: str, *, timeout_s: float = 60.0, as_of: Optional[str] = None) -> None:
        self._transport = transport = Transport(url, token, timeout_s, as_of)
        self.url = transport.url
        self.as_of = as_of
        self.artifacts = Artifacts(transport)
        self.datasets = Datasets(transport, self.artifacts)
        self.models = Models(transport, self.artifacts)
        self.cards = Cards(transport)
        self.signatures = Signatures(transport, self.artifacts)
        self.retirements = Retirements(transport)
        self.slas = Slas(transport)
        self.changes = Changes(transport, self.artifacts)
        self.runs = Runs(transport, self.artifacts)
        self.logged_models = LoggedModels(transport)
        self.jobs = Jobs(transport, self.artifacts)
        self.benchmarks = Benchmarks(self.jobs, self.runs)
        self.deployments = Deployments(transport)
        self.batches = Batches(self.jobs, self.runs, self.models, self.deployments)
        self.releases = Releases(transport)
        self.learning = Learnings(transport)
        self.trials = Trials(transport)
        self.monitors = Monitors(transport)
        self.ab_tests = AbTests(transport)
        self.levels = Levels(transport)
        self.lineage = LineageGraph(transport)
        self.audit = Audit(transport)
        self.users = Users(transport)
        self.dead_letters = DeadLetters(transport)
        self.webhooks = Webhooks(transport)
        self.workspaces = Workspaces(transport)
        self.links = Links(transport)

    def me(self) -> Identity:
        """Who this client is and what it may do."""
        return self._transport.get("/api/v1/me", Identity)

    def services(self) -> List[ServiceHealth]:
        """The six services and how they are."""
        return self._transport.get("/api/v1/services", _Services).services

    def rebuild(self, services: Sequence[str] = ()) -> List[ServiceRebuilt]:
        """Drop every projection of these services (none: of all) and build it again from the event store."""
        return self._transport.post("/api/v1/rebuild", _Rebuilt, {"services": list(services)}, repeatable=True).services

    def topic_progress(self, kind: str, producer: str) -> TopicProgress:
        """How far a streaming producer's batches were processed, and the topic of this client's tenant for them."""
        return self._transport.get(f"/api/v1/topics/{kind}/producers/{producer}", TopicProgress)

    def discovery(self) -> Dict[str, str]:
        """Where the platform's other entrances are, such as `kafka`."""
        return self._transport.get("/.well-known/modelog", Dict[str, str])

    @property
    def authorization(self) -> Dict[str, str]:
        """The header that says who this client is."""
        return self._transport.authorization

    def present(self, what: str) -> None:
        """Raises NotAllowed when this client looks at the past, where `what` cannot be done."""
        self._transport.present(what)

    def close(self) -> None:
        self._transport.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()


def connect(
    url: Optional[str] = None, token: Optional[str] = None, *, user: Optional[str] = None, as_of: Optional[str] = None
) -> Client:
    """A client for the platform at `url`, or the one of MODELOG_URL, or the one that `modelog up` started last.

    `user` picks one of the users whose tokens the profile holds. `as_of` (or MODELOG_AS_OF), a position or an RFC 3339
    time, makes it a client that looks at that moment. Raises Unavailable or Unauthenticated, which say what
    to set.
    """
    return Client(*resolve(url, token, user), as_of=as_of or os.environ.get("MODELOG_AS_OF") or None)
