"""`python -m modelog_proofs STORE CHECKPOINT PUBLICKEY`: verify a store file offline."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

from .verify import verify_store


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Print the report; returns 0 when the store is verified, else 1. Wrong arguments exit with 2."""
    parser = argparse.ArgumentParser(
        prog="python -m modelog_proofs",
        description="Check that an event store file holds exactly the events whose checkpoint was signed.",
        epilog="Example: python -m modelog_proofs events.sqlite checkpoint.txt log.pub",
    )
    parser.add_argument("store", metavar="STORE", help="the SQLite event store file, or a copy (with its -wal, if any)")
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help="a file with the signed checkpoint")
    parser.add_argument("public_key", metavar="PUBLICKEY", help="the log's public key (name+id+base64), or its file")
    parser.add_argument(
        "--leaf-hashes",
        metavar="FILE",
        help="kept leaf hashes, one in hexadecimal a line, to find what was altered",
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    options = parser.parse_args(arguments)
    try:
        checkpoint_text = Path(options.checkpoint).read_bytes().decode("utf-8")
        public_key = _public_key_text(options.public_key)
        leaf_hashes = _leaf_hashes(Path(options.leaf_hashes)) if options.leaf_hashes else None
    except (OSError, ValueError) as error:
        parser.error(str(error))
    report = verify_store(options.store, checkpoint_text, public_key, leaf_hashes)
    print(json.dumps(report.as_dict(), indent=2) if options.json else report.text())
    return 0 if report.ok else 1


def _public_key_text(argument: str) -> str:
    path = Path(argument)
    return path.read_text(encoding="utf-8") if path.is_file() else argument


def _leaf_hashes(path: Path) -> list[bytes]:
    lines = path.read_text(encoding="ascii").splitlines()
    try:
        return [bytes.fromhex(line) for line in lines]
    except ValueError as error:
        raise ValueError(f"{path} must hold one hexadecimal hash a line: {error}") from None


if __name__ == "__main__":
    sys.exit(main())
