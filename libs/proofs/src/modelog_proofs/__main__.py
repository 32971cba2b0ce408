"""Verify offline: `python -m modelog_proofs STORE CHECKPOINT PUBLICKEY`, one event by `--proof BUNDLE PUBLICKEY`."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

from .errors import ProofsError, printable
from .prediction_proof import PREDICTION_START, verify_prediction
from .proof import verify_bundle
from .verify import verify_store


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Print what was found; returns 0 when the store or the proof is verified, else 1. Wrong arguments exit with 2."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == ["--proof"]:
        return _check_proof(given[1:])
    parser = argparse.ArgumentParser(
        prog="python -m modelog_proofs",
        description="Check that an event store file or an export holds exactly the events whose checkpoint was signed.",
        epilog="Example: python -m modelog_proofs events.sqlite checkpoint.txt log.pub. "
        "One event alone: python -m modelog_proofs --proof proof.json log.pub",
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
    options = parser.parse_args(given)
    try:
        checkpoint_text = Path(options.checkpoint).read_bytes().decode("utf-8")
        public_key = _public_key_text(options.public_key)
        leaf_hashes = _leaf_hashes(Path(options.leaf_hashes)) if options.leaf_hashes else None
    except (OSError, ValueError) as error:
        parser.error(str(error))
    report = verify_store(options.store, checkpoint_text, public_key, leaf_hashes)
    print(json.dumps(report.as_dict(), indent=2) if options.json else report.text())
    return 0 if report.ok else 1


def _check_proof(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m modelog_proofs --proof",
        description="Check that the event in a proof bundle is in the log that was signed.",
    )
    parser.add_argument("bundle", metavar="BUNDLE", help="a file that `modelog audit proof` or `modelog prove` wrote")
    parser.add_argument("public_key", metavar="PUBLICKEY", help="the log's public key (name+id+base64), or its file")
    options = parser.parse_args(arguments)
    try:
        bundle, public_key = Path(options.bundle).read_bytes(), _public_key_text(options.public_key)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    try:
        if bundle.startswith(PREDICTION_START):
            print(verify_prediction(bundle, public_key.strip()).text())
            return 0
        proven = verify_bundle(bundle, public_key.strip())
    except ProofsError as error:
        print(f"FAILED\n- {error}")
        return 1
    event, checkpoint = proven.event, proven.checkpoint
    print(printable(f"VERIFIED: position {event.position} of {checkpoint.origin} ({checkpoint.size} events)"))
    print(printable(f"{event.recorded_at} {event.actor} {event.type} {event.stream}"))
    print(printable(event.payload.decode()))
    return 0


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
