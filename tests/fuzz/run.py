"""Coverage-guided fuzzing of our own protocols with atheris: `make fuzz`, or

    python tests/fuzz/run.py edge --seconds 3600

Begins with the corpus and the seeds, and in the end keeps the smallest set of inputs that reaches as much. An input
that fails is left in a file that is named; `make test` runs the corpus, in `test_fuzz_corpus.py` and, of our client, in
`test_own_client_fuzzed.py`.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import subprocess
import sys
import tempfile
from pathlib import Path

import atheris
import structlog

with atheris.instrument_imports(include=["modelog_common.edge", "modelog_common.grpc_client"]):
    import inputs
    import seeds
    from fed_client import feed as feed_client
    from fed_edge import feed as feed_edge
    from fed_http1 import feed as feed_http1
    from fed_http1 import feed_whole

TARGETS = {
    "client": (feed_client, seeds.client_seeds),
    "edge": (feed_edge, seeds.edge_seeds),
    "http1": (feed_http1, seeds.http1_seeds),
    "http1_whole": (feed_whole, seeds.http1_seeds),
}
LONGEST_INPUT = 4096
INPUT_TIMEOUT_S = 60
MEMORY_MB = 2048


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seconds", type=int, default=300, help="how long to look for something new (default: 300)")
    parser.add_argument("--worker", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker is not None:
        fuzz(given.target, given.worker)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        return look(given.target, given.seconds, Path(folder))


def look(target: str, seconds: int, folder: Path) -> int:
    """Fuzz in a process of its own, which ends at the first failure, then merge; the exit status of the fuzzer."""
    found, small = folder / "found", folder / "small"
    found.mkdir()
    small.mkdir()
    kept = inputs.corpus_of(target) if (inputs.CORPUS / f"{target}.hex").exists() else []
    for number, data in enumerate([*kept, *TARGETS[target][1]()]):
        (found / f"begin-{number}").write_bytes(data)
    failed = Path(tempfile.gettempdir()) / f"fuzz-{target}-"
    limits = [f"-max_len={LONGEST_INPUT}", f"-timeout={INPUT_TIMEOUT_S}", f"-rss_limit_mb={MEMORY_MB}"]
    status = run(target, [str(found), f"-max_total_time={seconds}", f"-artifact_prefix={failed}", *limits])
    if status:
        print(f"an input failed: it lies at {failed}*, and what it did stands above")
        return status
    run(target, ["-merge=1", str(small), str(found), *limits])
    merged = [path.read_bytes() for path in small.iterdir()]
    inputs.keep(target, merged)
    print(f"{target}: {len(kept)} inputs before, {len(merged)} now, in {inputs.CORPUS / f'{target}.hex'}")
    return 0


def run(target: str, options: list[str]) -> int:
    return subprocess.run([sys.executable, __file__, target, "--worker", *options], check=False).returncode


def fuzz(target: str, options: list[str]) -> None:
    """The fuzzer's own process: does not return."""
    # Handlers that fail on purpose are no news.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    feed = TARGETS[target][0]
    loop = asyncio.new_event_loop()

    def one(data: bytes) -> None:
        loop.run_until_complete(feed(*inputs.parsed(data)))

    mutator = {"custom_mutator": frame_mutator} if target in ("edge", "client") else {}
    # To merge, the fuzzer calls itself by what it takes for its own name.
    itself = f"{sys.executable} {__file__} {target} --worker"
    atheris.Setup([itself, *options], one, **mutator)
    atheris.Fuzz()


def frame_mutator(data: bytes, most: int, seed: int) -> bytes:
    return seeds.frame_mutation(data, most, seed, atheris.Mutate)


if __name__ == "__main__":
    sys.exit(main())
