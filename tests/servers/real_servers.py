"""The servers as tests see them: their addresses, and fresh databases."""

from __future__ import annotations

from itertools import count
from pathlib import Path

from modelog_platform.servers import kubernetes, mariadb, postgres
from modelog_platform.servers.influxdb import ORGANISATION
from modelog_platform.servers.running import RunningServer


def started_again(server: RunningServer) -> None:
    """Leave a server running, whatever the test that took it away came to."""
    if not server.recipe.serves(server.site):
        server.start()


class SqlServer(RunningServer):
    """A database server that makes fresh databases."""

    _numbers = count(1)

    @property
    def url(self) -> str:
        """The address of the database that every test may use, with user and password."""
        return self.recipe.address(self.site)

    def _fresh(self) -> str:
        return f"test_{next(self._numbers)}"


class PostgresServer(SqlServer):
    def create_database(self) -> str:
        """A fresh database; returns its address, postgresql://..."""
        return postgres.create_database(self.site, self._fresh())


class MariadbServer(SqlServer):
    def create_database(self) -> str:
        """A fresh database; returns its address, mysql://..."""
        return mariadb.create_database(self.site, self._fresh())


class KafkaServer(RunningServer):
    @property
    def bootstrap(self) -> str:
        return self.recipe.address(self.site)


class UrlServer(RunningServer):
    """Elasticsearch, Redis, RabbitMQ: the address says it all."""

    @property
    def url(self) -> str:
        return self.recipe.address(self.site)


class Neo4jServer(RunningServer):
    @property
    def uri(self) -> str:
        return self.recipe.address(self.site)

    @property
    def user(self) -> str:
        return self.recipe.user

    @property
    def password(self) -> str:
        return self.site.password


class InfluxdbServer(UrlServer):
    org = ORGANISATION

    @property
    def token(self) -> str:
        return self.site.password


class MinioServer(UrlServer):
    @property
    def access_key(self) -> str:
        return self.recipe.user

    @property
    def secret_key(self) -> str:
        return self.site.password


class KubernetesServer(RunningServer):
    """An API server without nodes; a token of its administrator, and the certificate that it is known by."""

    @property
    def url(self) -> str:
        return self.recipe.address(self.site)

    @property
    def authority(self) -> Path:
        return kubernetes.authority(self.site)

    @property
    def token_file(self) -> Path:
        return self._password_file
