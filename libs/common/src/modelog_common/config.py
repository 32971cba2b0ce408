"""Settings of a service process, from environment variables MODELOG_* and from the file that MODELOG_ENV_FILE names.

settings = load_settings()          # raises Invalid: names the variable, what was wrong and what is allowed
settings.peers["registry"]          # MODELOG_PEERS={"registry": "127.0.0.1:7001"}
settings.event_store                # MODELOG_EVENT_STORE=postgresql://... ; by default sqlite:///<data_dir>/events.db
settings.service_token()            # what is in MODELOG_SERVICE_TOKEN_FILE
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from modelog_common.domain.errors import FieldViolation, Invalid
from modelog_common.edge.limits import CONNECTIONS
from modelog_common.outbound.reach import networks_of

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
PORT = Field(default=0, ge=0, le=65535, description="a port from 0 to 65535; 0 takes a free one")
Edge = Literal["own", "grpcio"]
ADDRESS = 'a JSON object of service names and addresses such as {"registry": "127.0.0.1:7001"}'

# Somebody may put the secret itself where its place is asked for.
UNREPEATED = ("event_store", "graph_password", "tables", "event_bus", "cache", "key_store", "master_key")
MASTER_KEYS = ("file://", "env://", "vault+http://", "vault+https://")
MASTER_KEY = (
    "file://<path>, env://<variable> or vault+https://<host:port>/<mount>/<key> (OpenBao or Vault transit): what wraps "
    "the keys of personal data; empty means file://<data_dir>/keys/master.key"
)


class Settings(BaseSettings):
    """What one service process is told. Each field `x` is the variable MODELOG_X."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True, env_ignore_empty=True)

    data_dir: Path = Field(description="the folder that holds the service's files, such as /var/lib/modelog")
    service_host: str = Field(default="127.0.0.1", min_length=1, description="the address to listen on")
    grpc_port: int = PORT
    grpc_edge: Edge = Field(default="own", description="own or grpcio: what speaks gRPC with clients")
    grpc_client: Edge = Field(default="own", description="own or grpcio: what calls to other services go over")
    http_port: int = PORT
    oip_grpc_port: int = PORT
    connections: int = Field(
        default=CONNECTIONS,
        ge=10,
        le=1_000_000,
        description="how many connections each port of a process has at most, from 10 to 1000000",
    )
    event_store: str = Field(default="", repr=False, description=EVENT_STORE)
    tables: SecretStr = Field(
        default=SecretStr(""),
        description="postgresql://user:password@host/database or mysql://user:password@host/database; "
        "empty means SQLite files in <data_dir>",
    )
    kafka_bootstrap: str = Field(default="", description="brokers as host:port, separated by commas; empty means none")
    event_bus: SecretStr = Field(
        default=SecretStr(""),
        description="redis://host:port/0 or amqp://host:port/vhost, or rediss:// and amqps:// over TLS: where events "
        "travel; empty means Kafka, as batches do",
    )
    graph_uri: str = Field(default="", description="a Bolt address such as bolt://127.0.0.1:7687")
    graph_user: str = ""
    graph_password: SecretStr = SecretStr("")
    graph_database: str = Field(default="", description="a database's name; empty means the server's default one")
    series: str = Field(
        default="",
        description="influxdb://host:port/organisation/bucket, or influxdbs:// over TLS; empty means files in data_dir",
    )
    curves: str = Field(
        default="",
        description="influxdb://host:port/organisation/bucket, or influxdbs:// over TLS: where the points of metrics "
        "of runs go, with the token of the series; empty means a file in data_dir",
    )
    series_token: SecretStr = SecretStr("")
    search: str = Field(
        default="",
        description="elasticsearch://, http:// or https://host:port, or with /index; empty means files in data_dir",
    )
    search_api_key: SecretStr = SecretStr("")
    blobs: str = Field(
        default="",
        description="file://<folder>, or s3://<bucket>/<prefix> with AWS_ENDPOINT_URL, AWS_REGION and the AWS_* keys; "
        "empty means <data_dir>/blobs",
    )
    cache: SecretStr = Field(
        default=SecretStr(""), description="redis://user:password@host:port/0; empty means a cache in each process"
    )
    peers: dict[str, str] = Field(default_factory=dict, description=ADDRESS)
    public_key_file: Path = Field(default=Path(), description="the PEM file that tokens are checked with")
    service_token_file: Path = Field(default=Path(), description="the file with the service's own token")
    signing_key_file: Path = Field(default=Path(), description="the PEM file that the gateway signs tokens with")
    tls_certificate_file: Path | None = Field(
        default=None, description="the PEM file of the certificate that listeners show; without one they speak no TLS"
    )
    tls_key_file: Path | None = Field(
        default=None,
        validate_default=True,
        description="the PEM file of that certificate's key; with it, or not at all",
    )
    tls_authority_file: Path | None = Field(
        default=None,
        description="the PEM file of the authority that signs the services' certificates: services then ask each other "
        "for one",
    )
    key_store: str = Field(
        default="",
        repr=False,
        description="sqlite:///<path> or postgresql://<address>: the keys that personal data is sealed with; "
        "empty means the database of a PostgreSQL event store, else <data_dir>/data-keys.db",
    )
    master_key: str = Field(default="", description=MASTER_KEY)
    vault_token_file: Path = Field(default=Path(), description="the file with the token for OpenBao or Vault")
    webhook_networks: str = Field(
        default="",
        description="networks such as 10.0.0.0/8,127.0.0.0/8 that webhooks are sent to besides public addresses, over "
        "http too; empty means none",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="one of debug, info, warning, error"
    )
    otlp_endpoint: str = Field(default="", description="an OTLP/HTTP address such as http://127.0.0.1:4318")
    drain_s: float = Field(default=5.0, ge=0, le=3600, description="seconds from 0 to 3600")

    @field_validator("log_level", mode="before")
    @classmethod
    def _lower(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("peers")
    @classmethod
    def _addresses(cls, peers: dict[str, str]) -> dict[str, str]:
        for service, address in peers.items():
            host, _, port = address.rpartition(":")
            if not host or not port.isdecimal() or not 0 < int(port) < 65536:
                raise ValueError(f"{service} has the address {address!r}, which is not host:port")
        return peers

    @field_validator("otlp_endpoint")
    @classmethod
    def _http(cls, value: str) -> str:
        if value and not value.startswith(("http://", "https://")):
            raise ValueError("it does not start with http:// or https://")
        return value

    @field_validator("blobs")
    @classmethod
    def _folder_or_bucket(cls, value: str) -> str:
        if (value and not value.startswith(("file://", "s3://"))) or value.startswith("s3:///"):
            raise ValueError("this place for blobs is not known")
        if value in ("s3://", "file://"):
            raise ValueError("it names no folder or bucket")
        return value

    @field_validator("cache")
    @classmethod
    def _redis(cls, value: SecretStr) -> SecretStr:
        address = urlsplit(value.get_secret_value())
        if value.get_secret_value() and (address.scheme not in ("redis", "rediss") or not address.hostname):
            raise ValueError("this cache is not known")
        return value

    @field_validator("tables")
    @classmethod
    def _database(cls, value: SecretStr) -> SecretStr:
        address = urlsplit(value.get_secret_value())
        if value.get_secret_value() and address.scheme not in DATABASES:
            raise ValueError("this database is not known")
        if value.get_secret_value() and not (address.hostname and address.path.strip("/")):
            raise ValueError("it names no host or no database")
        return value

    @field_validator("event_bus")
    @classmethod
    def _event_bus(cls, value: SecretStr) -> SecretStr:
        address = urlsplit(value.get_secret_value())
        known = address.scheme in ("redis", "rediss", "amqp", "amqps")
        if value.get_secret_value() and not (known and address.hostname):
            raise ValueError("this broker is not known")
        return value

    @field_validator("event_store")
    @classmethod
    def _event_store(cls, value: str) -> str:
        if value and not any(value.startswith(scheme) and value != scheme for scheme in EVENT_STORES):
            raise ValueError("this event store is not known")
        return value

    @field_validator("key_store")
    @classmethod
    def _key_store(cls, value: str) -> str:
        if value and (not value.startswith((SQLITE, POSTGRES)) or value in (SQLITE, POSTGRES)):
            raise ValueError("this key store is not known")
        return value

    @field_validator("master_key")
    @classmethod
    def _master_key(cls, value: str) -> str:
        if value and not any(value.startswith(scheme) and value != scheme for scheme in MASTER_KEYS):
            raise ValueError("this is no place of a master key")
        return value

    @field_validator("tls_key_file", "tls_authority_file")
    @classmethod
    def _with_certificate(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        certificate = info.data.get("tls_certificate_file")
        if info.field_name == "tls_key_file" and value is None and certificate is not None:
            raise ValueError("it is missing beside MODELOG_TLS_CERTIFICATE_FILE")
        if value is not None and certificate is None:
            raise ValueError("it needs MODELOG_TLS_CERTIFICATE_FILE beside it")
        return value

    @field_validator("webhook_networks")
    @classmethod
    def _networks(cls, value: str) -> str:
        networks_of(value)
        return value

    @field_validator("series", "curves")
    @classmethod
    def _influxdb(cls, value: str) -> str:
        parts = urlsplit(value)
        named = parts.path.strip("/").split("/")
        if value and (parts.scheme not in ("influxdb", "influxdbs") or not parts.netloc or len(named) != 2):
            raise ValueError("this InfluxDB is not known")
        return value.rstrip("/")

    @field_validator("search")
    @classmethod
    def _elasticsearch(cls, value: str) -> str:
        parts = urlsplit(value)
        known = parts.scheme in ("elasticsearch", "http", "https") and parts.netloc
        if value and (not known or "/" in parts.path.strip("/")):
            raise ValueError("this search index is not known")
        return value.rstrip("/")

    @model_validator(mode="before")
    @classmethod
    def _defaults_from_data_dir(cls, values: dict[str, Any]) -> dict[str, Any]:
        if values.get("data_dir"):
            folder = Path(values["data_dir"]).absolute()
            keys = folder / "keys"
            log = str(values.get("event_store") or "")
            derived: dict[str, object] = {
                "event_store": f"{SQLITE}{folder / 'events.db'}",
                "blobs": f"file://{folder / 'blobs'}",
                "key_store": log if log.startswith(POSTGRES) else f"{SQLITE}{folder / 'data-keys.db'}",
                "master_key": f"file://{keys / 'master.key'}",
                "public_key_file": keys / "public.pem",
                "signing_key_file": keys / "signing.pem",
                "service_token_file": keys / "service.token",
            }
            missing = {name: value for name, value in derived.items() if not values.get(name)}
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
    file = os.environ.get(ENV_FILE) or None
    if file is not None and not Path(file).is_file():
        raise Invalid.field(ENV_FILE, f"there is no file {file}; it must name a file of lines NAME=value, or be unset")
    try:
        return Settings(_env_file=file, _env_file_encoding=ENV_FILE_ENCODING)  # type: ignore[call-arg]
    except ValidationError as error:
        violations = [_violation(problem) for problem in error.errors()]
    except SettingsError as error:
        violations = [_not_json(error)]
    except UnicodeDecodeError as error:
        raise Invalid.field(ENV_FILE, f"the file {file} is not UTF-8 text") from error
    raise Invalid("wrong settings: " + "; ".join(f"{v.field} {v.description}" for v in violations), violations)


def variable(field: str) -> str:
    """The environment variable of a field."""
    return PREFIX + field.upper()


def allowed(field: str) -> str:
    """What a field allows, as the second half of an error message."""
    info = Settings.model_fields[field]
    return f"allowed: {info.description or 'text'}"


def reason(error: Exception) -> str:
    """Why a file could not be read, without its path."""
    return error.strerror if isinstance(error, OSError) and error.strerror else "not text"


def _violation(problem: Any) -> FieldViolation:
    field = str(problem["loc"][0]).removeprefix(PREFIX.lower())
    if problem["type"] == "missing":
        return FieldViolation(variable(field), f"is not set; {allowed(field)}")
    found = "" if field in UNREPEATED else f"{json.dumps(problem['input'], default=str)[:80]}: "
    what = str(problem["msg"]).removeprefix("Value error, ")
    return FieldViolation(variable(field), f"is {found}{what[:1].lower() + what[1:]}; {allowed(field)}")


def _not_json(error: SettingsError) -> FieldViolation:
    field = next((name for name in Settings.model_fields if f'"{name}"' in str(error)), "peers")
    return FieldViolation(variable(field), f"is not JSON; {allowed(field)}")
