"""Predictions a second over gRPC beside Ray Serve's, one row a request and 32 at once, in one run.

Run: python tests/bench/bench_ray_serve.py [--install] [--seconds 10]
`--install` makes the peer's environment first. Each server runs on one core, h2load (nghttp2-client) on the others; the
answers' numbers are compared with the library's. The load, the model and ours are those of bench_predict.py, with all
on that production has; Ray Serve is `ray_serve_peer.py`.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "integration" / "serving"))

import ray_serve_peer
from bench_predict import COLUMNS, DEPTH, SERVER_CORE, TREES, Server, ours, table, trained
from figures import machine, print_table, ratio
from rest_peers import install, python_of
from serving_rig import Rig, registry_of

LOADS = ((1, 4, 8),)
WANTED = 200


async def bench(seconds: int) -> None:
    booster = trained()
    print(f"XGBoost, {TREES} trees of depth {DEPTH}, {len(COLUMNS)} features; {machine()}")
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        async with registry_of(Rig(folder)) as rig, ours(rig, booster) as server:
            (modelog,) = await table("Modelog", server, booster, seconds, folder, LOADS)
        if not python_of(ray_serve_peer.NAME).exists():
            print("\nRay Serve is not installed (see --install): there is no peer")
            return
        pinned = ("taskset", "-c", str(SERVER_CORE))
        with ray_serve_peer.serving(bytes(booster.save_raw("ubj")), folder / "peer", pinned) as (address, pid):
            peer = Server(address, pid, "flights", "")
            (theirs,) = await table("Ray Serve, gRPC", peer, booster, seconds, folder, LOADS)
    row = ("1 row, c=32", ratio(modelog.per_s, theirs.per_s), f"{WANTED} x", ratio(modelog.per_cpu_s, theirs.per_cpu_s))
    print_table("ours beside Ray Serve", ("", "req/s", "wanted", "req/CPU s"), [row])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=10, help="for each load")
    parser.add_argument("--install", action="store_true", help="make the peer's environment first")
    given = parser.parse_args()
    if given.install:
        install(ray_serve_peer.NAME, ray_serve_peer.REQUIREMENTS)
    asyncio.run(bench(given.seconds))


if __name__ == "__main__":
    main()
