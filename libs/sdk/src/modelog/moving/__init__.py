"""What an MLflow server holds, moved here: read by MLflow's REST API, written by the client's own calls."""

from modelog.moving.ledger import Ledger
from modelog.moving.move import Choice, move
from modelog.moving.source import Source

__all__ = ["Choice", "Ledger", "Source", "move"]
