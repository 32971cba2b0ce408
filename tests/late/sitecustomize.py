"""Makes what follows an answer late, in every process with this folder on its PYTHONPATH: `make test-late`.

Background work, whatever waits for the next event, and consumers go on up to MODELOG_LATE_S later than they would, by
chance. Commands and questions take their time as ever, so that whoever waits for a position is answered rightly, and
whoever reads what was only likely to be there by now is not.
"""

from __future__ import annotations

import asyncio
import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from functools import wraps
from random import SystemRandom
from types import ModuleType
from typing import Any

LATE_S = float(os.environ.get("MODELOG_LATE_S", "1.5"))
# Not that of `random`, which tests seed.
_chance = SystemRandom()
_pause = asyncio.sleep
_is_background: ContextVar[bool] = ContextVar("is_background", default=False)


async def _late() -> None:
    await _pause(_chance.uniform(0, LATE_S))


def _then_late(waits: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """The same, over later."""

    @wraps(waits)
    async def late(*args: Any, **named: Any) -> Any:
        found = await waits(*args, **named)
        await _late()
        return found

    return late


def _background(module: ModuleType) -> None:
    """Background work begins late, and is late after each pause, and when it is woken."""
    forever = module.Background._forever

    async def late_forever(self: Any, name: str, work: Any) -> None:
        _is_background.set(True)
        await _late()
        await forever(self, name, work)

    module.Background._forever = late_forever

    async def late_sleep(delay: float, result: Any = None) -> Any:
        if delay > 0 and _is_background.get():
            delay += _chance.uniform(0, LATE_S)
        return await _pause(delay, result)

    asyncio.sleep = late_sleep  # type: ignore[assignment]
    for woken, at_once in ((asyncio.Event, asyncio.Event.is_set), (asyncio.Queue, lambda queue: not queue.empty())):
        _late_when_woken(woken, "wait" if woken is asyncio.Event else "get", at_once)


def _late_when_woken(kind: Any, name: str, at_once: Callable[[Any], bool]) -> None:
    waits = getattr(kind, name)

    @wraps(waits)
    async def late(self: Any) -> Any:
        waited = not at_once(self)
        found = await waits(self)
        if waited and _is_background.get():
            await _late()
        return found

    setattr(kind, name, late)


def _methods(*names: str) -> Callable[[ModuleType], None]:
    """These methods, each as Class.method, answer late."""

    def change(module: ModuleType) -> None:
        for kind, method in (name.split(".") for name in names):
            owner = getattr(module, kind)
            setattr(owner, method, _then_late(getattr(owner, method)))

    return change


CHANGES: dict[str, Callable[[ModuleType], None]] = {
    "modelog_common.background": _background,
    "modelog_common.events.sqlite": _methods("SqliteEventStore.wait_beyond"),
    "modelog_common.events.postgres": _methods("PostgresEventStore.wait_beyond"),
    "modelog_common.events.kurrent": _methods("KurrentEventStore.wait_beyond"),
    "modelog_common.bus.reader": _methods("KafkaReader.next"),
    "modelog_common.bus.redis_streams": _methods("RedisReader.next"),
    "modelog_common.bus.rabbitmq_streams": _methods("RabbitReader.next"),
    "modelog_serving.predlog.log": _methods("PredictionLog.wait_beyond"),
}


class _Changing(importlib.abc.Loader):
    """Loads a module as ever, and makes it late."""

    def __init__(self, loader: Any, change: Callable[[ModuleType], None]) -> None:
        self._loader, self._change = loader, change

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)  # type: ignore[no-any-return]

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        self._change(module)


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in CHANGES:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Changing(spec.loader, CHANGES[fullname])
        return spec


if LATE_S > 0:
    sys.meta_path.insert(0, _Finder())
