"""The ledger of deliveries in an SQLite file."""

from __future__ import annotations

from pathlib import Path

import pytest
from modelog_common.read.database import open_database
from modelog_registry.react.ledger import Ledger
from webhook_ledger_suite import OpenLedger, WebhookLedgerSuite


class TestWebhookLedgerInSqlite(WebhookLedgerSuite):
    @pytest.fixture
    def open_ledger(self, tmp_path: Path) -> OpenLedger:
        return lambda: Ledger(open_database(f"sqlite+aiosqlite:///{tmp_path / 'webhooks.db'}"))
