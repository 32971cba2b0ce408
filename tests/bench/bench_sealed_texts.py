"""What sealing and opening the texts of a subject costs, with the look into the key store, in CPU time.

    .venv/bin/python tests/bench/bench_sealed_texts.py

A request that names a subject pays it twice for sealing (what is asked, what is answered), and whoever looks at its
prediction pays it for opening. The key store is SQLite; the key is in memory.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

from modelog_common.privacy.keys import SUBJECT
from modelog_common.privacy.masters import FileMasterKeys, new_master_key
from modelog_common.privacy.sqlite import SqliteKeyStore
from modelog_common.privacy.subjects import Subjects
from modelog_common.security.keys import write_secret

TIMES = 300
TEXT = "a text of some sixty characters, such as people write them: "


async def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_secret(folder / "master.key", new_master_key().encode())
        subjects = Subjects(SqliteKeyStore(folder / "keys.db"), FileMasterKeys(folder / "master.key"))
        print(f"{'texts':>6} {'seal us':>8} {'open us':>8}")
        for count in (1, 10, 100):
            texts = [(f"serving.prediction.feature.{n}", f"{TEXT}{n}") for n in range(count)]
            began = time.process_time()
            for _ in range(TIMES):
                sealed = await subjects.seal_all("acme", f"{SUBJECT}customer-17", texts)
            between = time.process_time()
            for _ in range(TIMES):
                await subjects.opened([(field, one) for (field, _), one in zip(texts, sealed, strict=True)])
            ended = time.process_time()
            print(f"{count:>6} {(between - began) / TIMES * 1e6:8.0f} {(ended - between) / TIMES * 1e6:8.0f}")
        await subjects.close()


if __name__ == "__main__":
    asyncio.run(main())
