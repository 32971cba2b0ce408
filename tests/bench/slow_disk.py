"""Runs a bench as if the disk took longer to make a write durable: fsync of two disks differs a hundredfold.

The library that waits is a few lines of C, built with cc when it is asked for and loaded before the C library.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ASKED = "BENCH_FSYNC_US"
_SOURCE = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static long delay_us(void) { const char *asked = getenv("BENCH_FSYNC_US"); return asked ? atol(asked) : 0; }

static long us(struct timespec from, struct timespec to) {
  return (to.tv_sec - from.tv_sec) * 1000000L + (to.tv_nsec - from.tv_nsec) / 1000;
}

static int slowly(const char *name, int fd) {
  int (*call)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
  struct timespec began, now;
  clock_gettime(CLOCK_MONOTONIC, &began);
  int result = call(fd);
  clock_gettime(CLOCK_MONOTONIC, &now);
  long left = delay_us() - us(began, now);
  if (left > 0) usleep(left);
  return result;
}

int fsync(int fd) { return slowly("fsync", fd); }
int fdatasync(int fd) { return slowly("fdatasync", fd); }
"""


def run_again(fsync_us: int) -> None:
    """Run this program again, to its end, with every fsync taking at least so many microseconds."""
    with tempfile.TemporaryDirectory(prefix="slow-disk-") as folder:
        source, library = Path(folder) / "slow.c", Path(folder) / "slow.so"
        source.write_text(_SOURCE)
        subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
        subprocess.run(
            [sys.executable, *sys.argv],
            env={**os.environ, ASKED: str(fsync_us), "LD_PRELOAD": str(library)},
            check=True,
        )


def asked_us() -> int:
    """What the disk was slowed to in this run; 0 when it is as it is."""
    return int(os.environ.get(ASKED, "0"))
