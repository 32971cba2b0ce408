"""Which adapter stands behind each port: chosen here, by the address that the settings give, and nowhere else."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy.ext.asyncio import AsyncEngine

from modelog_common.bus.broker import Broker
from modelog_common.bus.deadletters import DeadLetters
from modelog_common.bus.leases import RelayProgress, SqliteRelayProgress
from modelog_common.config import AMQP, FOLDER, POSTGRES, SQLITE, Settings, variable
from modelog_common.domain.clock import Clock
from modelog_common.domain.errors import Invalid
from modelog_common.events.snapshots import Snapshots
from modelog_common.events.snapshots.sqlite import SqliteSnapshots
from modelog_common.events.sqlite import SqliteEventStore
from modelog_common.events.store import EventStore
from modelog_common.privacy.keys import KeyStore
from modelog_common.privacy.masters import FileMasterKeys, MasterKeys, VariableMasterKeys
from modelog_common.privacy.sqlite import SqliteKeyStore
from modelog_common.privacy.subjects import Subjects
from modelog_common.read.database import open_database
from modelog_common.stores.blobs import BlobStore
from modelog_common.stores.blobs.folder import FolderBlobStore
from modelog_common.stores.cache import Cache
from modelog_common.stores.cache.memory import MemoryCache
from modelog_common.stores.curves import CurveStore
from modelog_common.stores.curves.sqlite import SqliteCurveStore
from modelog_common.stores.graph import Graph
from modelog_common.stores.search import SearchStore
from modelog_common.stores.search.fts5 import Fts5SearchStore
from modelog_common.stores.series import SeriesStore
from modelog_common.stores.series.sqlite import SqliteSeriesStore


async def open_event_store(settings: Settings, clock: Clock) -> EventStore:
    """The log of the platform; raises Unavailable when it cannot be used."""
    if settings.event_store.startswith(SQLITE):
        return await SqliteEventStore.open(settings.event_store_path(), clock)
    if settings.event_store.startswith(POSTGRES):
        try:
            from modelog_common.events.postgres import PostgresEventStore
        except ImportError as error:
            raise _missing("event_store", "a postgresql:// address", "postgres") from error
        return await PostgresEventStore.open(settings.event_store, clock)
    try:
        from modelog_common.events.kurrent import KurrentEventStore
    except ImportError as error:
        raise _missing("event_store", "a kurrentdb:// address", "kurrent") from error
    return await KurrentEventStore.open(settings.event_store, clock)


def open_snapshots(settings: Settings, service: str) -> Snapshots:
    """The cache of a service's folded states: beside a log in PostgreSQL, otherwise a file of the service's own."""
    if settings.event_store.startswith(POSTGRES):
        try:
            from modelog_common.events.snapshots.postgres import PostgresSnapshots
        except ImportError as error:
            raise _missing("event_store", "a postgresql:// address", "postgres") from error
        return PostgresSnapshots(settings.event_store)
    return SqliteSnapshots(settings.data_dir / service / "snapshots.db")


def open_relay_progress(settings: Settings) -> RelayProgress:
    """Where relays remember how far they have come: in the event store's own database.

    KurrentDB has no place for it: there it is the database of the read tables, if that is PostgreSQL, or else a file of
    this data directory; then the relays of a service run on one machine.
    """
    if settings.event_store.startswith(SQLITE):
        return SqliteRelayProgress(settings.event_store_path())
    log, tables = ("event_store", settings.event_store), ("tables", settings.tables.get_secret_value())
    field, address = log if log[1].startswith(POSTGRES) else tables
    if not address.startswith(POSTGRES):
        return SqliteRelayProgress(settings.data_dir / "relay.db")
    try:
        from modelog_common.bus.postgres_leases import PostgresRelayProgress
    except ImportError as error:
        raise _missing(field, "a postgresql:// address", "postgres") from error
    return PostgresRelayProgress(address)


def open_data_broker(settings: Settings) -> Broker | None:
    """The broker of the data plane; None when the settings name none."""
    if not settings.kafka_bootstrap:
        return None
    # librdkafka takes memory in every process that loads it.
    from modelog_common.bus.kafka import KafkaBroker

    return KafkaBroker(settings.kafka_bootstrap)


def open_event_bus(settings: Settings) -> Broker | None:
    """The broker on which events travel; None when the settings name none."""
    address = settings.event_bus.get_secret_value()
    if not address:
        return open_data_broker(settings)
    if address.startswith(AMQP):
        try:
            from modelog_common.bus.rabbitmq_streams import RabbitBroker
        except ImportError as error:
            raise _missing("event_bus", "an amqp:// address", "rabbitmq") from error
        return RabbitBroker(address)
    try:
        from modelog_common.bus.redis_streams import RedisBroker
    except ImportError as error:
        raise _missing("event_bus", "an address of Redis", "redis") from error
    return RedisBroker(address)


def open_dead_letters(settings: Settings, service: str, clock: Clock) -> DeadLetters:
    """Where a service keeps what its consumers could not handle."""
    return DeadLetters(open_read_tables(settings, service, "dead"), clock, service)


def open_read_tables(settings: Settings, service: str, name: str) -> AsyncEngine:
    """The database that holds a service's read tables `name`, apart from those of every other service.

    On PostgreSQL they stand in the schema `modelog_<service>`, on MariaDB and MySQL in the database
    `<database>_<service>`; each is made when it is missing.
    """
    address = settings.tables.get_secret_value()
    if address:
        own = service if name == "tables" else f"{service}_{name}"
        return open_database(address, own)
    return open_database(f"sqlite+aiosqlite:///{settings.data_dir / service / (name + '.db')}")


def open_subjects(settings: Settings) -> Subjects:
    """What seals and opens personal data."""
    return Subjects(open_key_store(settings.key_store), _master_keys(settings))


def open_key_store(address: str) -> KeyStore:
    """The store of data keys at an address."""
    if address.startswith("sqlite:///"):
        return SqliteKeyStore(Path(address.removeprefix("sqlite:///")))
    try:
        from modelog_common.privacy.postgres import PostgresKeyStore
    except ImportError as error:
        raise _missing("key_store", "a postgresql:// address", "postgres") from error
    return PostgresKeyStore(address)


def _master_keys(settings: Settings) -> MasterKeys:
    scheme, _, place = settings.master_key.partition("://")
    if scheme == "file":
        return FileMasterKeys(Path(place))
    if scheme == "env":
        return VariableMasterKeys(place)
    from modelog_common.privacy.transit import open_transit

    return open_transit(settings.master_key, settings.vault_token_file)


def open_blobs(settings: Settings, *folders: str) -> BlobStore:
    """Blobs under the address of the settings, in folders of their own.

    Raises Invalid for an address whose library is not installed.
    """
    if settings.blobs.startswith("s3://"):
        try:
            from modelog_common.stores.blobs.s3 import S3BlobStore
        except ModuleNotFoundError:
            raise _missing("blobs", "s3://", "s3") from None
        return S3BlobStore("/".join([settings.blobs.rstrip("/"), *folders]))
    return FolderBlobStore(Path(settings.blobs.removeprefix(FOLDER), *folders))


def blobs_folder(settings: Settings) -> Path | None:
    """The folder that all blobs are in; None when they are in a bucket."""
    return Path(settings.blobs.removeprefix(FOLDER)) if settings.blobs.startswith(FOLDER) else None


def open_series(settings: Settings, service: str) -> SeriesStore:
    """The time series of a service: in a bucket or a file of its own."""
    if not settings.series:
        return SqliteSeriesStore(settings.data_dir / service / "series.db")
    try:
        from modelog_common.stores.series.influx import InfluxSeriesStore
    except ImportError as error:
        raise _missing("series", "an influxdb:// address", "influx") from error
    return InfluxSeriesStore(f"{settings.series}-{service}", settings.series_token.get_secret_value())


def open_curves(settings: Settings, service: str) -> CurveStore:
    """The points of the metrics of runs, which must be backed up like the log: in a bucket or a file of its own."""
    if not settings.curves:
        return SqliteCurveStore(curves_file(settings, service))
    try:
        from modelog_common.stores.curves.influx import InfluxCurveStore
    except ImportError as error:
        raise _missing("curves", "an influxdb:// address", "influx") from error
    return InfluxCurveStore(f"{settings.curves}-{service}-curves", settings.series_token.get_secret_value())


def curves_file(settings: Settings, service: str) -> Path:
    """Where a service keeps the points of metrics that are on no server."""
    return settings.data_dir / service / "curves.db"


def open_cache(settings: Settings, service: str) -> Cache:
    """The cache of a service: shared by its processes, or in this one."""
    address = settings.cache.get_secret_value()
    if not address:
        return MemoryCache()
    try:
        from modelog_common.stores.cache.redis import RedisCache
    except ImportError as error:
        raise _missing("cache", "a redis:// address", "redis") from error
    return RedisCache(address, service)


def open_search(settings: Settings, service: str) -> SearchStore:
    """The search index of a service: an index or a file of its own."""
    if not settings.search:
        return Fts5SearchStore(settings.data_dir / service / "search.db")
    try:
        from modelog_common.stores.search.elastic import ElasticSearchStore
    except ImportError as error:
        raise _missing("search", "an address of Elasticsearch", "elastic") from error
    parts = urlsplit(settings.search)
    scheme = "https" if parts.scheme == "https" else "http"
    index = f"{parts.path.strip('/') or 'modelog'}-{service}"
    return ElasticSearchStore(f"{scheme}://{parts.netloc}", index, settings.search_api_key.get_secret_value())


def open_graph(settings: Settings) -> Graph | None:
    """The graph database; None when the settings name none."""
    if not settings.graph_uri:
        return None
    # Only one service has a graph; the others need not load its driver.
    from modelog_common.stores.graph.bolt import BoltGraph

    password = settings.graph_password.get_secret_value()
    return BoltGraph(settings.graph_uri, settings.graph_user, password, settings.graph_database)


def _missing(field: str, what: str, extra: str) -> Invalid:
    return Invalid.field(variable(field), f"{what} needs modelog-common[{extra}]; install it")
