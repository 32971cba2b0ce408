"""Loaded models by digest: fetched once, checked, kept while they are in use or were used lately."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import structlog
from modelog_common.domain.errors import ModelogError, NotAllowed

from modelog_serving.deployment.signature import Signature
from modelog_serving.engine.composite import CHAIN, ENSEMBLE, composed, manifest_of
from modelog_serving.engine.runtime import Away, Model, Runtime, Runtimes
from modelog_serving.worker.memory import give_back

log = structlog.get_logger()


class ModelFiles(Protocol):
    """Where model files come from."""

    async def fetch(self, digest: str) -> bytes:
        """The file with this SHA-256; raises NotFound when there is none, Unavailable when it cannot be had now."""
        ...


class Verdicts(Protocol):
    """What trials found out about engines."""

    async def original(self, ref: ModelRef) -> bool:
        """Whether nothing but the library's own engine may answer: another one was found to answer otherwise."""
        ...


@dataclass(frozen=True)
class ModelRef:
    """What must be loaded to answer for a version.

    `learned_from` is the digest of the version's own file, where this is a state that it came to by learning: it is
    loaded in the process that has that version in memory, if there is one.
    `approved` says that somebody approved the version for staging or production. A file that is in memory was allowed
    to be there, whichever version it is asked for as.
    """

    digest: str
    flavor: str
    signature: Signature
    approved: bool = field(default=False, compare=False)
    learned_from: str = field(default="", compare=False)


class Models:
    """Loads models off the event loop; at most `capacity` stay that no traffic needs."""

    def __init__(self, files: ModelFiles, runtimes: Runtimes, capacity: int, verdicts: Verdicts | None = None) -> None:
        self._files = files
        self._runtimes = runtimes
        self._capacity = capacity
        self._verdicts = verdicts
        self._loaded: OrderedDict[ModelRef, Model] = OrderedDict()
        self._loading: dict[tuple[ModelRef, bool], asyncio.Task[Model]] = {}
        self._errors: dict[str, str] = {}
        self._needed: Callable[[], Iterable[str]] = tuple
        self._failed: Callable[[str, str, str], None] | None = None
        self._let_go: Callable[[Model], None] | None = None
        # The ensembles and chains that a model is in, by digest.
        self._within: dict[str, set[str]] = {}

    def keep(self, needed: Callable[[], Iterable[str]]) -> None:
        """Tell which digests must not be dropped: those that answer traffic."""
        self._needed = needed

    def tell(self, failed: Callable[[str, str, str], None]) -> None:
        """Have digest, cause and text told, from any thread, when the process of a model had to be replaced."""
        self._failed = failed

    def when_let_go(self, told: Callable[[Model], None]) -> None:
        """Have a model told that is let go of: whoever keeps it has it stay in memory."""
        self._let_go = told

    def loaded(self, ref: ModelRef) -> Model | None:
        """The model if it is in memory now."""
        model = self._loaded.get(ref)
        if model is not None:
            self._loaded.move_to_end(ref)
        return model

    def error(self, digest: str) -> str:
        """Why this model could not be loaded the last time; "" when it was, or never was tried."""
        return self._errors.get(digest, "")

    async def get(self, ref: ModelRef) -> Model:
        """The model, loaded if need be; raises NotFound, NotAllowed or Unavailable, which say why it cannot be."""
        model = self.loaded(ref)
        if model is not None:
            return model
        key = (ref, ref.approved)
        task = self._loading.get(key)
        if task is None:
            task = self._loading[key] = asyncio.create_task(self._load(ref), name=f"load {ref.digest[:12]}")
            task.add_done_callback(lambda _: self._loading.pop(key, None))
        # A caller that gives up must not take the model from the others that wait for it.
        return await asyncio.shield(task)

    def drop(self, ref: ModelRef) -> None:
        """Let go of a model, if it is in memory; whoever asks for it gets it loaded again."""
        model = self._loaded.pop(ref, None)
        if model is not None and self._let_go is not None:
            self._let_go(model)

    def every(self) -> list[ModelRef]:
        """What is in memory."""
        return list(self._loaded)

    def unneeded(self) -> list[ModelRef]:
        """What is in memory though no traffic needs it, members of ensembles and chains that traffic needs apart."""
        needed = set(self._needed())
        return [r for r in self._loaded if r.digest not in needed and not needed & self._within.get(r.digest, set())]

    async def _load(self, ref: ModelRef) -> Model:
        try:
            model = await (self._composed(ref) if ref.flavor in (ENSEMBLE, CHAIN) else self._single(ref))
        except ModelogError as error:
            self._errors[ref.digest] = str(error)
            raise
        self._errors.pop(ref.digest, None)
        if self._failed is not None and isinstance(model, Away):
            model.tell(partial(self._fails, ref.digest))
        self._loaded[ref] = model
        self._drop_unused()
        log.info("model loaded", digest=ref.digest, flavor=ref.flavor)
        return model

    async def _single(self, ref: ModelRef) -> Model:
        original = self._verdicts is not None and await self._verdicts.original(ref)
        find = self._runtimes.original_of if original else self._runtimes.of
        runtime = await asyncio.to_thread(find, ref.flavor)
        content = await self._files.fetch(ref.digest)
        relative = self._relative(ref)
        beside = None if relative is None else await asyncio.to_thread(_checked_beside, relative, content, ref)
        if beside is not None:
            return beside
        model = await asyncio.to_thread(_checked_load, runtime, content, ref)
        del content
        await asyncio.to_thread(give_back)
        return model

    def _relative(self, ref: ModelRef) -> Away | None:
        """The version that a state came from, or another of its states; of a version itself what it has learned. Its
        process may read such a file, and answers while a process of its own would import its framework.
        """
        family = {ref.learned_from, ref.digest} - {""} if ref.approved else set()
        for other, model in self._loaded.items():
            if isinstance(model, Away) and family & {other.learned_from, other.digest} and _alike(ref, other):
                return model
        return None

    async def _composed(self, ref: ModelRef) -> Model:
        content = await self._files.fetch(ref.digest)
        await asyncio.to_thread(_check_digest, content, ref)
        manifest = manifest_of(content)
        models: list[Model] = []
        for member in manifest.members:
            try:
                models.append(await self.get(ModelRef(member.digest, member.flavor, member.signature, ref.approved)))
            except NotAllowed as error:
                raise type(error)(f"its member {member.title}: {error}") from error
            self._within.setdefault(member.digest, set()).add(ref.digest)
        return composed(ref.flavor, manifest, ref.signature, models)

    def _fails(self, digest: str, cause: str, text: str) -> None:
        if self._failed is not None:
            for each in (digest, *self._within.get(digest, ())):
                self._failed(each, cause, text)

    def _drop_unused(self) -> None:
        needed = set(self._needed())
        unused = [ref for ref in self._loaded if ref.digest not in needed]
        for other in unused[: max(0, len(unused) - self._capacity)]:
            self.drop(other)

    async def close(self) -> None:
        """Let go of what is loaded or is being loaded."""
        tasks = list(self._loading.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._loaded.clear()


def _checked_load(runtime: Runtime, content: bytes, ref: ModelRef) -> Model:
    _check_digest(content, ref)
    return runtime.load(content, ref.signature, ref.approved)


def _checked_beside(relative: Away, content: bytes, ref: ModelRef) -> Model | None:
    _check_digest(content, ref)
    return relative.beside(content)


def _alike(ref: ModelRef, other: ModelRef) -> bool:
    return (ref.flavor, ref.signature) == (other.flavor, other.signature)


def _check_digest(content: bytes, ref: ModelRef) -> None:
    found = hashlib.sha256(content).hexdigest()
    if found != ref.digest:
        raise NotAllowed(
            f"the model file's SHA-256 is {found}, not {ref.digest}: the stored file was damaged or replaced"
        )
