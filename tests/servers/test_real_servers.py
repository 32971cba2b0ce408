"""Every server of the recipes serves its own client, asks for its password, and keeps what it acknowledged."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import aiomysql
import aiormq
import asyncpg
import obstore
import pytest
import redis.asyncio
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic
from elasticsearch import AsyncElasticsearch
from influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.rest import ApiException
from modelog_platform.servers.running import RunningServer
from neo4j import AsyncGraphDatabase
from neo4j.exceptions import AuthError
from obstore.exceptions import BaseError as ObstoreError
from obstore.store import S3Store
from pamqp.commands import Basic
from real_servers import InfluxdbServer, KafkaServer, MariadbServer, MinioServer, Neo4jServer, PostgresServer, UrlServer

pytestmark = pytest.mark.timeout(900)  # three starts of a Java server, on a machine that may be busy
PATIENCE_S = 150
NAME = "kept"
TEXT = "what was acknowledged"
WRONG = "not-the-password"


class ServerSuite:
    """A server's test class gives `server` and says how its client writes TEXT durably and reads it back."""

    @pytest.fixture
    def server(self) -> RunningServer:
        raise NotImplementedError

    async def write(self, server: Any) -> None:
        raise NotImplementedError

    async def read(self, server: Any) -> object:
        raise NotImplementedError

    async def test_what_it_acknowledged_is_there_after_a_stop_and_after_a_kill(self, server: RunningServer) -> None:
        address = server.recipe.address(server.site)
        await self.write(server)
        assert await self.read(server) == TEXT
        server.restart()
        assert await self.read(server) == TEXT
        server.kill()
        assert not server.recipe.serves(server.site)
        server.start()
        assert await self.read(server) == TEXT
        assert server.recipe.address(server.site) == address


class TestPostgres(ServerSuite):
    @pytest.fixture
    def server(self, postgres: PostgresServer) -> RunningServer:
        return postgres

    async def write(self, server: PostgresServer) -> None:
        connection = await asyncpg.connect(server.url)
        await connection.execute(f"CREATE TABLE {NAME} (value text)")
        await connection.execute(f"INSERT INTO {NAME} VALUES ($1)", TEXT)
        await connection.close()

    async def read(self, server: PostgresServer) -> object:
        connection = await asyncpg.connect(server.url)
        try:
            return await connection.fetchval(f"SELECT value FROM {NAME}")
        finally:
            await connection.close()

    async def test_it_asks_for_its_password(self, postgres: PostgresServer) -> None:
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(postgres.url, password=WRONG)

    async def test_each_database_is_fresh(self, postgres: PostgresServer) -> None:
        first, second = postgres.create_database(), postgres.create_database()
        assert first != second
        for url in (first, second):
            connection = await asyncpg.connect(url)
            await connection.execute("CREATE TABLE own (value text)")
            await connection.close()


class TestMariadb(ServerSuite):
    @pytest.fixture
    def server(self, mariadb: MariadbServer) -> RunningServer:
        return mariadb

    async def write(self, server: MariadbServer) -> None:
        connection = await connect_mariadb(server.url)
        async with connection.cursor() as cursor:
            await cursor.execute(f"CREATE TABLE {NAME} (value text)")
            await cursor.execute(f"INSERT INTO {NAME} VALUES (%s)", (TEXT,))
        await connection.commit()
        connection.close()

    async def read(self, server: MariadbServer) -> object:
        connection = await connect_mariadb(server.url)
        async with connection.cursor() as cursor:
            await cursor.execute(f"SELECT value FROM {NAME}")
            (value,) = await cursor.fetchone()
        connection.close()
        return value

    async def test_it_asks_for_its_password(self, mariadb: MariadbServer) -> None:
        with pytest.raises(aiomysql.OperationalError, match="Access denied"):
            await connect_mariadb(mariadb.url, password=WRONG)
        with pytest.raises(aiomysql.OperationalError, match="Access denied"):
            await connect_mariadb(mariadb.url, user="root", password="")

    async def test_each_database_is_fresh(self, mariadb: MariadbServer) -> None:
        for url in (mariadb.create_database(), mariadb.create_database()):
            connection = await connect_mariadb(url)
            async with connection.cursor() as cursor:
                await cursor.execute("CREATE TABLE own (value text)")
            connection.close()


async def connect_mariadb(url: str, **other: str) -> aiomysql.Connection:
    at = urlsplit(url)
    who = {"user": at.username, "password": at.password, **other}
    return await aiomysql.connect(host=at.hostname, port=at.port, db=at.path[1:], **who)


class TestKafka(ServerSuite):
    @pytest.fixture
    def server(self, kafka: KafkaServer) -> RunningServer:
        return kafka

    async def write(self, server: KafkaServer) -> None:
        settings = {"bootstrap.servers": server.bootstrap}
        admin = AdminClient(settings)
        admin.create_topics([NewTopic(NAME, 1)])[NAME].result(PATIENCE_S)
        producer = Producer(settings | {"enable.idempotence": True})
        producer.produce(NAME, TEXT)
        assert producer.flush(PATIENCE_S) == 0

    async def read(self, server: KafkaServer) -> object:
        group = {"group.id": NAME, "auto.offset.reset": "earliest", "enable.auto.commit": False}
        consumer = Consumer({"bootstrap.servers": server.bootstrap, **group})
        consumer.subscribe([NAME])
        try:
            (message,) = consumer.consume(1, timeout=PATIENCE_S)
            value = message.value()
            return value.decode() if value else message.error()
        finally:
            consumer.close()


class TestNeo4j(ServerSuite):
    @pytest.fixture
    def server(self, neo4j: Neo4jServer) -> RunningServer:
        return neo4j

    async def write(self, server: Neo4jServer) -> None:
        async with AsyncGraphDatabase.driver(server.uri, auth=(server.user, server.password)) as driver:
            await driver.execute_query("CREATE (:Kept {value: $value})", value=TEXT)

    async def read(self, server: Neo4jServer) -> object:
        # A scan of a label was once seen to name a node without properties after a kill: another test's.
        by_value = "MATCH (k:Kept) WHERE k.value = $value RETURN k.value AS value"
        async with AsyncGraphDatabase.driver(server.uri, auth=(server.user, server.password)) as driver:
            found = await driver.execute_query(by_value, value=TEXT)
            return found.records[0]["value"]

    async def test_it_asks_for_its_password(self, neo4j: Neo4jServer) -> None:
        async with AsyncGraphDatabase.driver(neo4j.uri, auth=(neo4j.user, WRONG)) as driver:
            with pytest.raises(AuthError):
                await driver.verify_connectivity()


class TestElasticsearch(ServerSuite):
    @pytest.fixture
    def server(self, elasticsearch: UrlServer) -> RunningServer:
        return elasticsearch

    async def write(self, server: UrlServer) -> None:
        async with AsyncElasticsearch(server.url, request_timeout=PATIENCE_S) as client:
            await client.index(index=NAME, id="1", document={"value": TEXT}, refresh=True)

    async def read(self, server: UrlServer) -> object:
        async with AsyncElasticsearch(server.url, request_timeout=PATIENCE_S) as client:
            found = await client.search(index=NAME, query={"match": {"value": "acknowledged"}})
            return found["hits"]["hits"][0]["_source"]["value"]


class TestInfluxdb(ServerSuite):
    @pytest.fixture
    def server(self, influxdb: InfluxdbServer) -> RunningServer:
        return influxdb

    async def write(self, server: InfluxdbServer) -> None:
        with InfluxDBClient(server.url, server.token, org=server.org, timeout=PATIENCE_S * 1000) as client:
            client.buckets_api().create_bucket(bucket_name=NAME)
            client.write_api(SYNCHRONOUS).write(NAME, record={"measurement": NAME, "fields": {"value": TEXT}})

    async def read(self, server: InfluxdbServer) -> object:
        return read_influxdb(server, server.token)

    async def test_it_asks_for_its_token(self, influxdb: InfluxdbServer) -> None:
        with pytest.raises(ApiException, match="unauthorized"):
            read_influxdb(influxdb, WRONG)


def read_influxdb(server: InfluxdbServer, token: str) -> object:
    with InfluxDBClient(server.url, token, org=server.org, timeout=PATIENCE_S * 1000) as client:
        tables = client.query_api().query(f'from(bucket: "{NAME}") |> range(start: -1h) |> last()')
        return tables[0].records[0].get_value()


class TestRedis(ServerSuite):
    @pytest.fixture
    def server(self, redis_server: UrlServer) -> RunningServer:
        return redis_server

    async def write(self, server: UrlServer) -> None:
        async with redis.asyncio.from_url(server.url) as client:
            await client.set(NAME, TEXT)

    async def read(self, server: UrlServer) -> object:
        async with redis.asyncio.from_url(server.url, decode_responses=True) as client:
            return await client.get(NAME)

    async def test_it_asks_for_its_password(self, redis_server: UrlServer) -> None:
        async with redis.asyncio.from_url(redis_server.url.replace(redis_server.site.password, WRONG)) as client:
            with pytest.raises(redis.exceptions.AuthenticationError):
                await client.get(NAME)


class TestRabbitmq(ServerSuite):
    @pytest.fixture
    def server(self, rabbitmq: UrlServer) -> RunningServer:
        return rabbitmq

    async def write(self, server: UrlServer) -> None:
        connection = await aiormq.connect(server.url)
        try:
            channel = await connection.channel(publisher_confirms=True)
            await channel.queue_declare(NAME, durable=True)
            await channel.basic_publish(TEXT.encode(), routing_key=NAME, properties=Basic.Properties(delivery_mode=2))
        finally:
            await connection.close()

    async def read(self, server: UrlServer) -> object:
        """Reads without acknowledging, so that the message stays."""
        connection = await aiormq.connect(server.url)
        try:
            channel = await connection.channel()
            return (await channel.basic_get(NAME, timeout=PATIENCE_S)).body.decode()
        finally:
            await connection.close()

    async def test_it_asks_for_its_password(self, rabbitmq: UrlServer) -> None:
        with pytest.raises(aiormq.exceptions.ProbableAuthenticationError):
            await aiormq.connect(rabbitmq.url.replace(rabbitmq.site.password, WRONG))


class TestMinio(ServerSuite):
    @pytest.fixture
    def server(self, minio: MinioServer) -> RunningServer:
        return minio

    async def write(self, server: MinioServer) -> None:
        await obstore.put_async(bucket(server, server.secret_key), NAME, TEXT.encode())

    async def read(self, server: MinioServer) -> object:
        found = await obstore.get_async(bucket(server, server.secret_key), NAME)
        return bytes(await found.bytes_async()).decode()

    async def test_it_checks_signatures(self, minio: MinioServer) -> None:
        with pytest.raises(ObstoreError, match="SignatureDoesNotMatch"):
            await obstore.put_async(bucket(minio, WRONG), NAME, b"forged")


def bucket(server: MinioServer, secret_key: str) -> S3Store:
    """The bucket that the recipe makes."""
    return S3Store(
        "modelog",
        endpoint=server.url,
        region="us-east-1",
        access_key_id=server.access_key,
        secret_access_key=secret_key,
        client_options={"allow_http": True},
    )
