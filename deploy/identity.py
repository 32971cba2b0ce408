"""Make the Secret of keys and service tokens that the chart asks for, and print it as a manifest.

    python deploy/identity.py DIRECTORY | kubectl apply -f -

The keys and tokens are made once and kept in DIRECTORY: the same directory gives the same Secret.
"""

from __future__ import annotations

import argparse
import json
from datetime import timedelta
from pathlib import Path

from modelog_common.domain.clock import SystemClock
from modelog_common.privacy.masters import new_master_key
from modelog_common.security.keys import create_key_pair, write_secret
from modelog_common.security.tokens import Identity, TokenSigner

SERVICES = ("registry", "training", "serving", "monitoring", "lineage", "gateway")
TENANT = "default"
LIFETIME = timedelta(days=365)


def identity_files(directory: Path, lifetime: timedelta) -> dict[str, str]:
    """Contents by file name: the keys, and a token for each service; made where they are missing."""
    signing, public = directory / "signing.pem", directory / "public.pem"
    if not signing.exists():
        create_key_pair(signing, public)
    signer = TokenSigner.from_file(signing, SystemClock())
    master = directory / "master.key"
    if not master.exists():
        write_secret(master, new_master_key().encode())
    tokens = [directory / f"{service}.token" for service in SERVICES]
    for path in tokens:
        if not path.exists():
            identity = Identity(f"service:{path.stem}", TENANT, frozenset({"service"}))
            write_secret(path, signer.sign(identity, lifetime).encode())
    return {path.name: path.read_text() for path in (signing, public, master, *tokens)}


def secret(name: str, files: dict[str, str]) -> dict[str, object]:
    """A Kubernetes Secret with the files as its keys."""
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "type": "Opaque", "stringData": files}


def main() -> None:
    """Print the Secret as JSON, which is YAML too."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path, help="where the keys and tokens are kept")
    parser.add_argument("--name", default="modelog-identity", help="the Secret's name (default: %(default)s)")
    parser.add_argument(
        "--days", type=int, default=LIFETIME.days, help="how long new tokens are good (default: %(default)s)"
    )
    arguments = parser.parse_args()
    if arguments.days < 1:
        parser.error(f"--days is {arguments.days}; it must be at least 1")
    print(json.dumps(secret(arguments.name, identity_files(arguments.directory, timedelta(days=arguments.days)))))


if __name__ == "__main__":
    main()
