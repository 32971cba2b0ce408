"""Completes the registration of a version by what the MLmodel file among its files tells."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace

from modelog_registry.artifact import Artifact
from modelog_registry.handle.artifacts import Artifacts
from modelog_registry.mlmodel.environment import environment_in
from modelog_registry.mlmodel.told import MLMODEL, UNKNOWN, Told, told_by
from modelog_registry.mlmodel.untrusted import MOST_BYTES, NotRead
from modelog_registry.model.commands import RegisterVersion
from modelog_registry.model.events import Environment

# A tag of the version: what the files tell that could not be taken over, and why.
NOT_TAKEN = "modelog.not_taken_over"


async def described(command: RegisterVersion, files: Artifacts, tenant: str) -> RegisterVersion:
    """What is given stays; the files tell what is not."""
    by_path = {artifact.path: artifact for artifact in command.artifacts}
    told, missing = Told(), list[str]()
    if MLMODEL in by_path:
        content = await _content(by_path[MLMODEL], files, tenant)
        told = await asyncio.to_thread(told_by, content)
        missing = [*told.missing] if command.signature is None else []
    environment = command.environment
    try:
        environment = environment or await _environment(told, by_path, files, tenant)
    except NotRead as error:
        missing.append(str(error))
    tags = {**command.tags, NOT_TAKEN: "; ".join(missing)[:1000]} if missing else command.tags
    return replace(
        command,
        flavor=command.flavor or told.flavor or UNKNOWN,
        flavors=command.flavors or told.flavors,
        signature=command.signature or told.signature,
        artifacts=_itself_first(command.artifacts, told),
        environment=environment,
        tags=tags,
    )


def _itself_first(files: Iterable[Artifact], told: Told) -> tuple[Artifact, ...]:
    """The model is the file that its flavor names, else the MLmodel file, else any."""
    order = (told.its_file, MLMODEL)
    return tuple(sorted(files, key=lambda file: (*(file.path != path for path in order), file.path)))


async def _environment(told: Told, by_path: dict[str, Artifact], files: Artifacts, tenant: str) -> Environment | None:
    found = {
        name: await _content(by_path[path], files, tenant) for name, path in told.environment.items() if path in by_path
    }
    return await asyncio.to_thread(environment_in, found)


async def _content(file: Artifact, files: Artifacts, tenant: str) -> bytes:
    """As much of it as is read: a byte more than the limit says that it is too long."""
    content = b""
    async for piece in files.open(tenant, file.digest):
        content += piece
        if len(content) > MOST_BYTES:
            break
    return content[: MOST_BYTES + 1]
