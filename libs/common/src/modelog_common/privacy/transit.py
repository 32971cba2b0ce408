"""The master key of an OpenBao or Vault server: its transit engine wraps data keys, and never shows its own key."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from modelog_common.domain.errors import Invalid, Unavailable
from modelog_common.privacy.cipher import Altered
from modelog_common.privacy.masters import NoSuchMaster, Wrapped

TIMEOUT_S = 10
T = TypeVar("T")


def open_transit(address: str, token_file: Path) -> TransitMasterKeys:
    """The key at an address such as vault+https://vault:8200/transit/modelog."""
    url, _, place = address.removeprefix("vault+").partition("://")[2].partition("/")
    mount, _, key = place.rpartition("/")
    if not (url and mount and key):
        raise Invalid.field(
            "MODELOG_MASTER_KEY",
            "does not name a server, a mount and a key; allowed: vault+https://<host:port>/<mount>/<key>",
        )
    scheme = address.removeprefix("vault+").partition("://")[0]
    return TransitMasterKeys(f"{scheme}://{url}", mount, key, token_file)


class TransitMasterKeys:
    """MasterKeys in a transit engine. Its token is read anew for each call, since an agent may renew it in place."""

    def __init__(self, url: str, mount: str, key: str, token_file: Path) -> None:
        try:
            import hvac  # type: ignore[import-untyped]
        except ImportError as error:
            raise Unavailable("a master key in OpenBao or Vault needs modelog-common[vault]") from error
        self._url, self._mount, self._key, self._token_file = url, mount, key, token_file
        self._client: Any = hvac.Client(url=url, timeout=TIMEOUT_S)
        self._transit: Any = self._client.secrets.transit

    async def wrap(self, key_id: str, key: bytes) -> Wrapped:
        answer = await self._ask(
            lambda: self._transit.encrypt_data(
                self._key, plaintext=_text_of(key), associated_data=_text_of(key_id.encode()), mount_point=self._mount
            )
        )
        text: str = answer["data"]["ciphertext"]
        return Wrapped(self._name(text.split(":")[1]), text.encode())

    async def unwrap(self, key_id: str, wrapped: Wrapped) -> bytes:
        if not wrapped.master.startswith(self._name("")):
            raise NoSuchMaster(f"{self._url} lacks the master key {wrapped.master}, which wraps a stored key")
        answer = await self._ask(
            lambda: self._transit.decrypt_data(
                self._key,
                ciphertext=wrapped.content.decode(),
                associated_data=_text_of(key_id.encode()),
                mount_point=self._mount,
            )
        )
        return base64.b64decode(answer["data"]["plaintext"])

    @asynccontextmanager
    async def rotation(self) -> AsyncIterator[str]:
        await self._ask(lambda: self._transit.rotate_key(self._key, mount_point=self._mount))
        about = await self._ask(lambda: self._transit.read_key(self._key, mount_point=self._mount))
        newest = int(about["data"]["latest_version"])
        yield self._name(f"v{newest}")
        await self._ask(
            lambda: self._transit.update_key_configuration(
                self._key, min_decryption_version=newest, mount_point=self._mount
            )
        )

    def _name(self, version: str) -> str:
        return f"{self._mount}/{self._key}/{version}"

    async def _ask(self, call: Callable[[], T]) -> T:
        import requests
        from hvac.exceptions import InvalidRequest, VaultError  # type: ignore[import-untyped]

        def ask() -> T:
            self._client.token = self._token_file.read_text().strip()
            return call()

        try:
            return await asyncio.to_thread(ask)
        except InvalidRequest as error:
            if "message authentication failed" in str(error):
                raise Altered("a stored key was not wrapped by this master key under its id") from error
            raise Unavailable(
                f"{self._url} refused to use the key {self._mount}/{self._key}: {error.args[0]}"
            ) from error
        except VaultError as error:
            raise Unavailable(
                f"{self._url} refused to use the key {self._mount}/{self._key}: {error.args[0]}"
            ) from error
        except requests.RequestException as error:
            raise Unavailable(f"the master key's server {self._url} does not answer: {type(error).__name__}") from error
        except OSError as error:
            where = f"{error.filename}: {error.strerror}"
            raise Unavailable(f"the token for {self._url} cannot be read: {where}") from error


def _text_of(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
