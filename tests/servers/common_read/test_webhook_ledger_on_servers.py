"""The ledger of deliveries on PostgreSQL and MariaDB."""

from __future__ import annotations

import pytest
from modelog_common.read.database import open_database
from modelog_registry.react.ledger import Ledger
from real_servers import MariadbServer, PostgresServer
from webhook_ledger_suite import OpenLedger, WebhookLedgerSuite


class TestWebhookLedgerOnPostgres(WebhookLedgerSuite):
    @pytest.fixture
    def open_ledger(self, postgres: PostgresServer) -> OpenLedger:
        address = postgres.create_database()
        return lambda: Ledger(open_database(address, "registry_webhooks"))


class TestWebhookLedgerOnMariaDb(WebhookLedgerSuite):
    @pytest.fixture
    def open_ledger(self, mariadb: MariadbServer) -> OpenLedger:
        address = mariadb.create_database()
        return lambda: Ledger(open_database(address, "registry_webhooks"))
