"""The Kubernetes API as far as it is needed: list, apply on the server's side, read and delete, with patience."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Mapping
from typing import Self

import aiohttp
from modelog_common.domain import errors

from modelog_serving.kubernetes.kinds import Kind, Object
from modelog_serving.kubernetes.names import MANAGER
from modelog_serving.kubernetes.settings import KubernetesSettings

APPLY = "application/apply-patch+yaml"
TRIES = 5
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 5.0
TIMEOUT = aiohttp.ClientTimeout(total=30)
PAGE = 500
ERRORS: Mapping[int, type[errors.ModelogError]] = {
    400: errors.Invalid,
    401: errors.Unauthenticated,
    403: errors.Forbidden,
    404: errors.NotFound,
    409: errors.Conflict,
    422: errors.Invalid,
}


class Api:
    """Use `async with`. What the server refuses is raised in its own words; Unavailable when it does not answer."""

    def __init__(self, settings: KubernetesSettings) -> None:
        self._settings, self.namespace = settings, settings.own_namespace()
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        trust = await asyncio.to_thread(_trust, self._settings)
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust), timeout=TIMEOUT)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def every(self, kind: Kind, selector: str) -> list[Object]:
        """The objects with these labels; raises NotFound when the cluster has no such kind."""
        found: list[Object] = []
        query = {"labelSelector": selector, "limit": str(PAGE)}
        while True:
            page = await self._ask("GET", kind.path(self.namespace), query)
            found.extend(page["items"])
            query["continue"] = page["metadata"].get("continue", "")
            if not query["continue"]:
                return found

    async def get(self, kind: Kind, name: str) -> Object | None:
        """One object, None when there is none."""
        try:
            return await self._ask("GET", kind.path(self.namespace, name), {})
        except errors.NotFound:
            return None

    async def apply(self, kind: Kind, wanted: Object) -> Object:
        """Have the fields that are named be so, whoever else set them; fields that are not named stay as they are."""
        query = {"fieldManager": MANAGER, "force": "true"}
        return await self._ask("PATCH", kind.path(self.namespace, wanted["metadata"]["name"]), query, wanted)

    async def delete(self, kind: Kind, live: Object) -> None:
        """Delete this very object, and what was made of it; nothing when it is gone already."""
        about = live["metadata"]
        options = {"propagationPolicy": "Background", "preconditions": {"uid": about["uid"]}}
        try:
            await self._ask("DELETE", kind.path(self.namespace, about["name"]), {}, options)
        except (errors.NotFound, errors.Conflict):  # another of this name is there now: it is seen the next time
            return

    async def _ask(self, method: str, path: str, query: Mapping[str, str], body: Object | None = None) -> Object:
        pause_s = FIRST_PAUSE_S
        for left in reversed(range(TRIES)):
            try:
                return await self._once(method, path, query, body)
            except (errors.Unavailable, _Busy) as error:
                if not left:
                    raise errors.Unavailable(str(error)) from error
                asked_s = error.after_s if isinstance(error, _Busy) else 0.0
                await asyncio.sleep(min(max(pause_s, asked_s), LONGEST_PAUSE_S))
                pause_s *= 3
        raise AssertionError("unreachable")

    async def _once(self, method: str, path: str, query: Mapping[str, str], body: Object | None) -> Object:
        if self._session is None:
            raise RuntimeError("the connection is opened by `async with api`")
        token = await asyncio.to_thread(_token, self._settings)  # Kubernetes writes a new one every hour
        headers = {"authorization": f"Bearer {token}", "accept": "application/json"}
        headers["content-type"] = APPLY if method == "PATCH" else "application/json"
        url, data = f"{self._settings.api}{path}", None if body is None else json.dumps(body)
        try:
            async with self._session.request(method, url, params=query, data=data, headers=headers) as answer:
                text = await answer.text()
                if answer.status < 400:
                    found: Object = json.loads(text)
                    return found
                raise _refusal(answer, text, conflict_again=method == "PATCH")
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            why = str(error) or type(error).__name__
            raise errors.Unavailable(f"the Kubernetes API at {self._settings.api} does not answer: {why}") from error


class _Busy(Exception):
    """The server asks to be asked again."""

    def __init__(self, text: str, after_s: float) -> None:
        super().__init__(text)
        self.after_s = after_s


def _refusal(answer: aiohttp.ClientResponse, text: str, *, conflict_again: bool) -> Exception:
    try:
        said = str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        said = text.strip()[:300] or str(answer.reason)
    told = f"Kubernetes refuses: {said}" if answer.status < 500 else f"Kubernetes fails: {said}"
    if answer.status in (429, 500, 502, 503, 504) or (answer.status == 409 and conflict_again):
        after = answer.headers.get("retry-after", "")
        return _Busy(told, float(after) if after.isdecimal() else 0.0)
    return ERRORS.get(answer.status, errors.Unavailable)(told)


def _token(settings: KubernetesSettings) -> str:
    try:
        return settings.token_file.read_text().strip()
    except OSError as error:
        raise errors.Unavailable(
            f"the token {settings.token_file} cannot be read ({error.strerror}); outside of a cluster "
            "MODELOG_KUBERNETES_TOKEN_FILE names it, inside the pod needs automountServiceAccountToken"
        ) from None


def _trust(settings: KubernetesSettings) -> ssl.SSLContext | bool:
    if settings.api.startswith("http://"):
        return True
    try:
        return ssl.create_default_context(cafile=settings.ca_file if settings.ca_file.exists() else None)
    except OSError as error:
        raise errors.Unavailable(f"MODELOG_KUBERNETES_CA_FILE {settings.ca_file} cannot be used: {error}") from None
