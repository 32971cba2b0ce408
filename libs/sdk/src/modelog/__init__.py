"""Modelog for Python: the client and the command line.

>>> import modelog
>>> client = modelog.connect()  # doctest: +SKIP
"""

from modelog.active import ActiveRun, start_run
from modelog.autologging import autolog
from modelog.client import Client, connect
from modelog.errors import (
    AlreadyExists,
    Conflict,
    Forbidden,
    Invalid,
    ModelogError,
    NotAllowed,
    NotFound,
    Unauthenticated,
    Unavailable,
)

__version__ = "0.1.0"
__all__ = [
    "ActiveRun",
    "AlreadyExists",
    "Client",
    "Conflict",
    "Forbidden",
    "Invalid",
    "ModelogError",
    "NotAllowed",
    "NotFound",
    "Unauthenticated",
    "Unavailable",
    "autolog",
    "connect",
    "start_run",
]
