"""What tests of every package share: a real Kafka broker."""

from __future__ import annotations

import inspect
import subprocess
from collections.abc import Iterator

import coverage
import httpx
import pytest
import structlog
from hypothesis import settings
from modelog_platform.parts.broker import bootstrap_of, start_broker
from modelog_platform.parts.ports import free_port

# No test asserts a time: by default hypothesis fails an example that takes longer than 200 ms, as on a busy machine.
settings.register_profile("modelog", deadline=None)
settings.load_profile("modelog")
# Nor does httpx give up after five seconds, as it does by default: all its clients share this one object.
for part in ("connect", "read", "write", "pool"):
    setattr(inspect.signature(httpx.Client).parameters["timeout"].default, part, 150.0)


class FreshBroker:
    """A broker of one test's own, which the test may kill and start again on the same port."""

    def __init__(self) -> None:
        self.port = free_port()
        self.bootstrap = bootstrap_of(self.port)
        self._process: subprocess.Popen[bytes] | None = None

    def kill(self) -> None:
        """kill -9: every topic and message is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def start(self) -> None:
        self._process = start_broker(self.port)

    def restart(self) -> None:
        self.kill()
        self.start()


@pytest.fixture
def unmeasured() -> Iterator[None]:
    """No coverage of what a test does a hundred thousand times: it takes half of the time, and others run the same."""
    measuring = coverage.Coverage.current()
    if measuring is None:
        yield
        return
    measuring.stop()
    yield
    measuring.start()


@pytest.fixture
def every_level() -> Iterator[None]:
    """Lines of every level can be captured, whatever ran in this process before has set."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(0))
    yield
    structlog.configure(**before)


@pytest.fixture(scope="session")
def broker() -> Iterator[str]:
    """The address of a broker that all tests of the session share: use topic names of your own."""
    port = free_port()
    process = start_broker(port)
    yield bootstrap_of(port)
    process.kill()
    process.wait()


@pytest.fixture
def fresh_broker() -> Iterator[FreshBroker]:
    """A broker of this test's own, running."""
    own = FreshBroker()
    own.start()
    yield own
    own.kill()
