"""What coverage-guided fuzzing found worth keeping is fed to our protocols again: see tests/fuzz/run.py."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import fed_edge
import fed_http1

sys.path.append(str(Path(__file__).parents[2] / "fuzz"))

import inputs


def test_the_corpus_of_the_grpc_edge() -> None:
    for data in inputs.corpus_of("edge"):
        asyncio.run(fed_edge.feed(*inputs.parsed(data)))


def test_the_corpus_of_http1() -> None:
    for data in inputs.corpus_of("http1"):
        asyncio.run(fed_http1.feed(*inputs.parsed(data)))


def test_the_corpus_of_http1_in_every_form() -> None:
    for data in inputs.corpus_of("http1_whole"):
        asyncio.run(fed_http1.feed_whole(*inputs.parsed(data)))
