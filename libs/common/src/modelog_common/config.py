"""Settings of a service process, from environment variables MODELOG_* and from the file that MODELOG_ENV_FILE names.

settings = load_settings()          # raises Invalid: names the variable, what was wrong and what is allowed
settings.peers["registry"]          # MODELOG_PEERS={"registry": "127.0.0.1:7001"}
settings.event_store                # MODELOG_EVENT_STORE=postgresql://... ; by default sqlite:///<data_dir>/events.db
settings.service_token()            # what is in MODELOG_SERVICE_TOKEN_FILE
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from msgspec import Meta

from modelog_common.domain.errors import Invalid
from modelog_common.edge.limits import CONNECTIONS
from modelog_common.outbound.reach import networks_of
from modelog_common.variables import Secret, Variables, checked

PREFIX = "MODELOG_"
ENV_FILE = "MODELOG_ENV_FILE"
ENV_FILE_ENCODING = "utf-8"
SQLITE = "sqlite:///"
FOLDER = "file://"
S3 = "s3://"
POSTGRES = "postgresql://"
AMQP = ("amqp://", "amqps://")
DATABASES = ("postgresql", "mysql", "mariadb")
KURRENT = "kurrentdb://"
EVENT_STORES = (SQLITE, POSTGRES, KURRENT, "kurrentdb+discover://")
EVENT_STORE = (
    "sqlite:///<path>, postgresql://<user:password@host:port>/<database> or kurrentdb://<host:port>?tls=true; "
    "empty means sqlite:///<data_dir>/events.db"
)
Port = Annotated[int, Meta(ge=0, le=65535, description="a port from 0 to 65535; 0 takes a free one")]
Edge = Literal["own", "grpcio"]
ADDRESS = 'a JSON object of service names and addresses such as {"registry": "127.0.0.1:7001"}'

NO_PEERS: dict[str, str] = {}

# Somebody may put the secret itself where its place is asked for.
UNREPEATED = ("event_store", "graph_password", "tables", "event_bus", "cache", "key_store", "master_key")
MASTER_KEYS = ("file://", "env://", "vault+http://", "vault+https://")
MASTER_KEY = (
    "file://<path>, env://<variable> or vault+https://<host:port>/<mount>/<key> (OpenBao or Vault transit): what wraps "
    "the keys of personal data; empty means file://<data_dir>/keys/master.key"
)


class Settings(Variables, prefix=PREFIX):
    """What one service process is told. Each field `x` is the variable MODELOG_X."""

    unrepeated = UNREPEATED

    data_dir: Annotated[Path, Meta(description="the folder that holds the service's files, such as /var/lib/modelog")]
    service_host: Annotated[str, Meta(min_length=1, description="the address to listen on")] = "127.0.0.1"
    grpc_port: Port = 0
    grpc_edge: Annotated[Edge, Meta(description="own or grpcio: what speaks gRPC with clients")] = "own"
    grpc_client: Annotated[Edge, Meta(description="own or grpcio: what calls to other services go over")] = "own"
    http_port: Port = 0
    oip_grpc_port: Port = 0
    connections: Annotated[
        int,
        Meta(
            ge=10,
            le=1_000_000,
            description="how many connections each port of a process has at most, from 10 to 1000000",
        ),
    ] = CONNECTIONS
    event_store: Annotated[str, Meta(description=EVENT_STORE)] = ""
    tables: Annotated[
        Secret,
        Meta(
            description="postgresql://user:password@host/database or mysql://user:password@host/database; "
            "empty means SQLite files in <data_dir>"
        ),
    ] = Secret("")
    kafka_bootstrap: Annotated[str, Meta(description="brokers as host:port, separated by commas; empty means none")] = (
        ""
    )
    event_bus: Annotated[
        Secret,
        Meta(
            description="redis://host:port/0 or amqp://host:port/vhost, or rediss:// and amqps:// over TLS: where "
            "events travel; empty means Kafka, as batches do"
        ),
    ] = Secret("")
    graph_uri: Annotated[str, Meta(description="a Bolt address such as bolt://127.0.0.1:7687")] = ""
    graph_user: str = ""
    graph_password: Secret = Secret("")
    graph_database: Annotated[str, Meta(description="a database's name; empty means the server's default one")] = ""
    series: Annotated[
        str,
        Meta(
            description="influxdb://host:port/organisation/bucket, or influxdbs:// over TLS; "
            "empty means files in data_dir"
        ),
    ] = ""
    curves: Annotated[
        str,
        Meta(
            description="influxdb://host:port/organisation/bucket, or influxdbs:// over TLS: where the points of "
            "metrics of runs go, with the token of the series; empty means a file in data_dir"
        ),
    ] = ""
    series_token: Secret = Secret("")
    search: Annotated[
        str,
        Meta(
            description="elasticsearch://, http:// or https://host:port, or with /index; empty means files in data_dir"
        ),
    ] = ""
    search_api_key: Secret = Secret("")
    blobs: Annotated[
        str,
        Meta(
            description="file://<folder>, or s3://<bucket>/<prefix> with AWS_ENDPOINT_URL, AWS_REGION and the AWS_* "
            "keys; empty means <data_dir>/blobs"
        ),
    ] = ""
    cache: Annotated[
        Secret, Meta(description="redis://user:password@host:port/0; empty means a cache in each process")
    ] = Secret("")
    peers: Annotated[dict[str, str], Meta(description=ADDRESS)] = NO_PEERS
    public_key_file: Annotated[Path, Meta(description="the PEM file that tokens are checked with")] = Path()
    service_token_file: Annotated[Path, Meta(description="the file with the service's own token")] = Path()
    signing_key_file: Annotated[Path, Meta(description="the PEM file that the gateway signs tokens with")] = Path()
    tls_certificate_file: Annotated[
        Path | None,
        Meta(description="the PEM file of the certificate that listeners show; without one they speak no TLS"),
    ] = None
    tls_key_file: Annotated[
        Path | None, Meta(description="the PEM file of that certificate's key; with it, or not at all")
    ] = None
    tls_authority_file: Annotated[
        Path | None,
        Meta(
            description="the PEM file of the authority that signs the services' certificates: services then ask each "
            "other for one"
        ),
    ] = None
    key_store: Annotated[
        str,
        Meta(
            description="sqlite:///<path> or postgresql://<address>: the keys that personal data is sealed with; "
            "empty means the database of a PostgreSQL event store, else <data_dir>/data-keys.db"
        ),
    ] = ""
    master_key: Annotated[str, Meta(description=MASTER_KEY)] = ""
    vault_token_file: Annotated[Path, Meta(description="the file with the token for OpenBao or Vault")] = Path()
    webhook_networks: Annotated[
        str,
        Meta(
            description="networks such as 10.0.0.0/8,127.0.0.0/8 that webhooks are sent to besides public addresses, "
            "over http too; empty means none"
        ),
    ] = ""
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="one of debug, info, warning, error")
    ] = "info"
    otlp_endpoint: Annotated[str, Meta(description="an OTLP/HTTP address such as http://127.0.0.1:4318")] = ""
    drain_s: Annotated[float, Meta(ge=0, le=3600, description="seconds from 0 to 3600")] = 5.0

    @checked("peers")
    def _addresses(self, peers: dict[str, str]) -> dict[str, str]:
        for service, address in peers.items():
            host, _, port = address.rpartition(":")
            if not host or not port.isdecimal() or not 0 < int(port) < 65536:
                raise ValueError(f"{service} has the address {address!r}, which is not host:port")
        return peers

    @checked("otlp_endpoint")
    def _http(self, value: str) -> str:
        if value and not value.startswith(("http://", "https://")):
            raise ValueError("it does not start with http:// or https://")
        return value

    @checked("blobs")
    def _folder_or_bucket(self, value: str) -> str:
        if (value and not value.startswith(("file://", "s3://"))) or value.startswith("s3:///"):
            raise ValueError("this place for blobs is not known")
        if value in ("s3://", "file://"):
            raise ValueError("it names no folder or bucket")
        return value

    @checked("cache")
    def _redis(self, value: Secret) -> Secret:
        address = urlsplit(value.get_secret_value())
        if value.get_secret_value() and (address.scheme not in ("redis", "rediss") or not address.hostname):
            raise ValueError("this cache is not known")
        return value

    @checked("tables")
    def _database(self, value: Secret) -> Secret:
        address = urlsplit(value.get_secret_value())
        if value.get_secret_value() and address.scheme not in DATABASES:
            raise ValueError("this database is not known")
        if value.get_secret_value() and not (address.hostname and address.path.strip("/")):
            raise ValueError("it names no host or no database")
        return value

    @checked("event_bus")
    def _event_bus(self, value: Secret) -> Secret:
        address = urlsplit(value.get_secret_value())
        known = address.scheme in ("redis", "rediss", "amqp", "amqps")
        if value.get_secret_value() and not (known and address.hostname):
            raise ValueError("this broker is not known")
        return value

    @checked("event_store")
    def _event_store(self, value: str) -> str:
        if value and not any(value.startswith(scheme) and value != scheme for scheme in EVENT_STORES):
            raise ValueError("this event store is not known")
        return value

    @checked("key_store")
    def _key_store(self, value: str) -> str:
        if value and (not value.startswith((SQLITE, POSTGRES)) or value in (SQLITE, POSTGRES)):
            raise ValueError("this key store is not known")
        return value

    @checked("master_key")
    def _master_key(self, value: str) -> str:
        if value and not any(value.startswith(scheme) and value != scheme for scheme in MASTER_KEYS):
            raise ValueError("this is no place of a master key")
        return value

    @checked("tls_key_file")
    def _key_with_certificate(self, key: Path | None) -> Path | None:
        if key is None and self.tls_certificate_file is not None:
            raise ValueError("it is missing beside MODELOG_TLS_CERTIFICATE_FILE")
        return self._with_certificate(key)

    @checked("tls_authority_file")
    def _with_certificate(self, file: Path | None) -> Path | None:
        if file is not None and self.tls_certificate_file is None:
            raise ValueError("it needs MODELOG_TLS_CERTIFICATE_FILE beside it")
        return file

    @checked("webhook_networks")
    def _networks(self, value: str) -> str:
        networks_of(value)
        return value

    @checked("series", "curves")
    def _influxdb(self, value: str) -> str:
        parts = urlsplit(value)
        named = parts.path.strip("/").split("/")
        if value and (parts.scheme not in ("influxdb", "influxdbs") or not parts.netloc or len(named) != 2):
            raise ValueError("this InfluxDB is not known")
        return value.rstrip("/")

    @checked("search")
    def _elasticsearch(self, value: str) -> str:
        parts = urlsplit(value)
        known = parts.scheme in ("elasticsearch", "http", "https") and parts.netloc
        if value and (not known or "/" in parts.path.strip("/")):
            raise ValueError("this search index is not known")
        return value.rstrip("/")

    def derived(self, given: dict[str, Any]) -> dict[str, Any]:
        values = given | {"log_level": given.get("log_level", "info").lower()}
        if values.get("data_dir"):
            folder = Path(values["data_dir"]).absolute()
            keys = folder / "keys"
            log = str(values.get("event_store") or "")
            follows: dict[str, object] = {
                "event_store": f"{SQLITE}{folder / 'events.db'}",
                "blobs": f"{FOLDER}{folder / 'blobs'}",
                "key_store": log if log.startswith(POSTGRES) else f"{SQLITE}{folder / 'data-keys.db'}",
                "master_key": f"file://{keys / 'master.key'}",
                "public_key_file": keys / "public.pem",
                "signing_key_file": keys / "signing.pem",
                "service_token_file": keys / "service.token",
            }
            missing = {name: value for name, value in follows.items() if not values.get(name)}
            return values | missing | {"data_dir": folder}
        return values

    def event_store_path(self) -> Path:
        """The file of the event store, when it is an SQLite one."""
        return Path(self.event_store.removeprefix(SQLITE))

    def service_token(self) -> str:
        """The service's own token; raises Invalid when its file cannot be read or is empty."""
        name = variable("service_token_file")
        try:
            token = self.service_token_file.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise Invalid.field(
                name,
                f"the file {self.service_token_file} cannot be read ({reason(error)}); {allowed('service_token_file')}",
            ) from error
        if not token:
            raise Invalid.field(name, f"the file {self.service_token_file} is empty; {allowed('service_token_file')}")
        return token


def load_settings() -> Settings:
    """The settings of this process; raises Invalid with one violation for each variable that is wrong."""
    file = os.environ.get(ENV_FILE)
    return Settings.read(_variables_in(Path(file)) if file else None)


def _variables_in(file: Path) -> dict[str, str | None]:
    # Few processes have such a file.
    from dotenv import dotenv_values

    if not file.is_file():
        raise Invalid.field(ENV_FILE, f"there is no file {file}; it must name a file of lines NAME=value, or be unset")
    try:
        return dotenv_values(file, encoding=ENV_FILE_ENCODING)
    except UnicodeDecodeError as error:
        raise Invalid.field(ENV_FILE, f"the file {file} is not UTF-8 text") from error


def variable(field: str) -> str:
    """The environment variable of a field."""
    return Settings.variable(field)


def allowed(field: str) -> str:
    """What a field allows, as the second half of an error message."""
    return Settings.allowed(field)


def reason(error: Exception) -> str:
    """Why a file could not be read, without its path."""
    return error.strerror if isinstance(error, OSError) and error.strerror else "not text"
