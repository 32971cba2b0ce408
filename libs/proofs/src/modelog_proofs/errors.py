"""The errors of this package: each message is a plain sentence that can be shown to an auditor."""

from typing import Optional


def printable(text: str) -> str:
    """`text` with every character that a terminal would not show as itself written as an escape.

    Messages quote files that may be hostile: an altered name must not be able to rewrite the report on the screen.
    """
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)


class ProofsError(ValueError):
    """Base of every error this package raises on purpose."""

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


class InvalidEvent(ProofsError):
    """A field of an event record cannot be part of a leaf."""


class InvalidKey(ProofsError):
    """The text or bytes of a key are not a key."""


class InvalidNote(ProofsError):
    """A signed note or checkpoint is malformed, or no trusted key signed it."""


class InvalidProof(ProofsError):
    """A proof is malformed or does not lead to the root it should lead to."""


class UnreadableStore(ProofsError):
    """A store file cannot be read as an event log.

    `position` is that of the row at fault, or None when the file as a whole is at fault.
    """

    def __init__(self, message: str, position: Optional[int] = None) -> None:
        super().__init__(message)
        self.position = position
