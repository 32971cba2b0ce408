"""What read tables promise on every database: inherit the class and give it the fixture `open_tables`."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from modelog_common.domain.errors import Invalid, Unavailable
from modelog_common.domain.ids import uuid7
from modelog_common.events.store import StoredEvent
from modelog_common.read import tables
from modelog_common.read.project import EntityProjection, Projector
from modelog_common.read.queries import Queries
from modelog_common.read.tables import Change, Put, temporal_table
from modelog_common.rpc.call import Call, calling
from modelog_common.security.tokens import ANONYMOUS
from modelog_proto.common.v1.common_pb2 import Page, ReadOptions
from modelog_proto.registry.v1.model_pb2 import Model
from named_things import METADATA, TABLE, THINGS, TYPES, OpenTables, Parts, Thing, assemble, projector_of
from sqlalchemy import Column, Integer, MetaData, func, select

HOSTILE = [
    "a", "A", "á", "a\u0301", "ä", "Ä", "ß", "ss", "a ", " a", "a  ", "", "z", "é", "e", "ﬀ", "ｆ", "\U0001f600",
    "\U0010ffff", "\uffff", "a\x00b", "a\x00", "\x00", "%", "_", "a_b", "a%b", "'", '"', "\\", "a\nb", "é" * 125,
    "\U0001f600" * 250, "x" * 250,
]  # fmt: skip
names = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=20))
steps = st.lists(st.tuples(st.sampled_from(["1", "2", "3"]), st.sampled_from(["", "a", "b", "c"])), max_size=25)
PROPERTY = settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))


class ReadTablesSuite(ABC):
    """The suite."""

    @pytest.fixture
    @abstractmethod
    def open_tables(self) -> OpenTables: ...

    @pytest.fixture
    async def parts(self, tmp_path: Path, open_tables: OpenTables) -> AsyncIterator[Parts]:
        """Everything, with a projector that runs."""
        made = await assemble(tmp_path, open_tables("own"))
        running = asyncio.create_task(made.projector.run())
        yield made
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await made.close()

    async def test_one_reads_ones_own_writes(self, parts: Parts) -> None:
        position = await parts.rename("1", "first")
        assert await parts.name("1", ReadOptions(at_least=position)) == "first"

    async def test_answers_as_of_a_position_and_a_time(self, parts: Parts) -> None:
        await parts.rename("1", "first")
        parts.clock.advance(timedelta(hours=1))
        last = await parts.rename("1", "second")
        await parts.rename("1", "")
        read = ReadOptions(at_least=last + 1)
        assert await parts.name("1", read) is None
        assert await parts.name("1", ReadOptions(as_of="1")) == "first"
        assert await parts.name("1", ReadOptions(as_of="2026-05-01T00:30:00Z")) == "first"
        assert await parts.name("1", ReadOptions(as_of="2026-05-01T03:00:00+02:00")) is None
        assert await parts.name("1", ReadOptions(as_of="2")) == "second"
        assert await parts.names(read) == []

    @pytest.mark.parametrize(
        ("read", "text"),
        [
            (ReadOptions(as_of="9"), r"read\.as_of: position 9 is in the future; the log's last position is 0"),
            (ReadOptions(at_least=9), r"read\.at_least: position 9 is in the future"),
            (ReadOptions(as_of="yesterday"), "neither a position nor an RFC 3339 time"),
            (ReadOptions(as_of="2026-05-01T00:00:00"), "lacks a time zone"),
        ],
    )
    async def test_moments_that_cannot_be(self, parts: Parts, read: ReadOptions, text: str) -> None:
        with pytest.raises(Invalid, match=text):
            await parts.name("1", read)

    async def test_pages_see_one_world(self, parts: Parts) -> None:
        for n in range(5):
            last = await parts.rename(str(n), f"n{n}")
        read = ReadOptions(at_least=last)
        first = await parts.queries.page(TABLE, Model, read, "acme", Page(size=2))
        last = await parts.rename("0", "changed")
        await parts.projector.wait_for(last)
        second = await parts.queries.page(TABLE, Model, read, "acme", Page(size=9, token=first.next_page_token))
        assert [m.name for m in (*first.items, *second.items)] == ["n0", "n1", "n2", "n3", "n4"]
        assert second.next_page_token == ""
        filtered = await parts.queries.page(
            TABLE, Model, read, "acme", Page(), where=[TABLE.table.c.times == 2], order_by=[TABLE.table.c.times]
        )
        assert [m.name for m in filtered.items] == ["changed"]

    @pytest.mark.parametrize("descending", [False, True], ids=["least first", "most first"])
    @pytest.mark.parametrize("size", [1, 2, 3, 7])
    async def test_pages_by_a_column_hold_every_row_once(self, parts: Parts, size: int, descending: bool) -> None:
        """Also where many rows have one value, and a page ends among them."""
        times = {n: 1 + n * n % 3 for n in range(7)}
        for n, count in times.items():
            for change in range(count):
                last = await parts.rename(str(n), f"n{n} {change}")
        then = ReadOptions(as_of=str(last))
        await parts.projector.wait_for(await parts.rename("0", "changed"))
        column = TABLE.table.c.times
        order = [column.desc() if descending else column]
        found, token = [], ""
        while not found or token:
            page = Page(size=size, token=token)
            part = await parts.queries.page(TABLE, Model, then, "acme", page, order_by=order)
            found += [m.name for m in part.items]
            token = part.next_page_token
            assert len(part.items) == size or not token
        in_order = sorted(times, key=lambda n: (-times[n] if descending else times[n], n))
        assert found == [f"n{n} {times[n] - 1}" for n in in_order]

    @pytest.mark.parametrize("token", ["x", "bm9uZQ==", "Og=="])
    async def test_a_token_that_nobody_gave(self, parts: Parts, token: str) -> None:
        with pytest.raises(Invalid, match=r"page\.token"):
            await parts.names(ReadOptions(), Page(token=token))

    async def test_another_tenant_sees_nothing(self, parts: Parts) -> None:
        last = await parts.rename("1", "first")
        found = await parts.queries.page(TABLE, Model, ReadOptions(at_least=last), "other", Page())
        assert found.items == []

    async def test_a_long_body_comes_back_whole(self, parts: Parts) -> None:
        name = "\U0001f600x\x00" * 100_000
        last = await parts.rename("1", name)
        assert await parts.name("1", ReadOptions(at_least=last)) == name

    async def test_a_restarted_projector_goes_on_where_it_was(self, parts: Parts) -> None:
        for n in range(3):
            last = await parts.rename("1", f"n{n}")
        await parts.projector.wait_for(last)
        again = projector_of(parts.store, parts.engine)
        await again.start()
        assert again.position == last
        await parts.rename("1", "later")
        await again.catch_up()
        assert await Queries(parts.store, parts.engine, again).one(
            TABLE, Model, ReadOptions(as_of="3"), "acme", stream="test.thing-1"
        ) == Model(name="n2")

    async def test_services_do_not_see_each_others_tables(
        self, tmp_path: Path, parts: Parts, open_tables: OpenTables
    ) -> None:
        last = await parts.rename("1", "mine")
        other = await assemble(tmp_path / "other", open_tables("other"))
        await other.rename("1", "theirs")
        await other.projector.catch_up()
        assert await parts.name("1", ReadOptions(at_least=last)) == "mine"
        assert await other.name("1") == "theirs"
        await other.projector.rebuild()
        assert await parts.name("1", ReadOptions(at_least=last)) == "mine"
        await other.close()

    async def test_tables_of_another_shape_are_built_again(self, parts: Parts) -> None:
        last = await parts.rename("1", "first")
        await parts.projector.wait_for(last)
        newer, wider = newer_release(parts)
        await newer.start()
        assert newer.position == 0
        assert await newer.catch_up() == last
        shown = await Queries(parts.store, parts.engine, newer).page(
            wider, Model, ReadOptions(), "acme", Page(), where=[wider.table.c.length == 5]
        )
        assert len(shown.items) == 1

    async def test_an_older_release_that_still_runs_leaves_the_newer_ones_tables(
        self, tmp_path: Path, open_tables: OpenTables
    ) -> None:
        parts = await assemble(tmp_path, open_tables("own"))
        await parts.rename("1", "first")
        await parts.projector.catch_up()
        newer, _ = newer_release(parts)
        await newer.start()
        await newer.catch_up()
        last = await parts.rename("1", "second")
        for _ in range(2):
            with pytest.raises(Unavailable, match="made again by another release"):
                await parts.projector.catch_up()
        assert await newer.catch_up() == last
        await parts.close()

    async def test_tables_that_were_not_finished_are_made_again(
        self, tmp_path: Path, open_tables: OpenTables, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A crash at any step of making them: MariaDB commits each step by itself."""
        parts = await assemble(tmp_path, open_tables("own"))
        await parts.rename("1", "first")
        last = await parts.projector.catch_up()
        for step in ("drop_all", "create_all"):
            with monkeypatch.context() as patched:
                patched.setattr(METADATA, step, fail_in_the_middle)
                with pytest.raises(RuntimeError, match="in the middle"):
                    await parts.projector.rebuild()
            again = projector_of(parts.store, parts.engine)
            await again.start()
            assert again.position == 0
            assert await again.catch_up() == last
            assert await Queries(parts.store, parts.engine, again).one(
                TABLE, Model, ReadOptions(), "acme", stream="test.thing-1"
            ) == Model(name="first")
        await parts.close()

    async def test_what_is_true_now_is_not_answered_from_half_built_tables(
        self, tmp_path: Path, open_tables: OpenTables
    ) -> None:
        parts = await assemble(tmp_path, open_tables("own"))
        for n in range(3):
            await parts.rename(str(n), "there")
        again = projector_of(parts.store, parts.engine)
        await again.start()
        asked = asyncio.create_task(
            Queries(parts.store, parts.engine, again).page(TABLE, Model, ReadOptions(), "acme", Page())
        )
        await asyncio.sleep(0)
        await again.catch_up()
        assert len((await asked).items) == 3
        await parts.close()

    async def test_rows_and_position_commit_together(
        self, tmp_path: Path, open_tables: OpenTables, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A transaction that breaks off at any of its statements changes nothing, and is made up for."""
        parts = await assemble(tmp_path, open_tables("own"))
        await parts.rename("1", "first")
        await parts.projector.catch_up()
        await parts.rename("1", "second")
        await parts.rename("2", "other")
        for broken in ("_epoch_of", "_count"):
            with monkeypatch.context() as patched:
                patched.setattr(tables, broken, fail_in_the_middle)
                with pytest.raises(RuntimeError, match="in the middle"):
                    await parts.projector.catch_up()
            again = projector_of(parts.store, parts.engine)
            await again.start()
            assert again.position == 1
        assert await parts.projector.catch_up() == 3
        assert await parts.name("1") == "second"
        assert await parts.name("1", ReadOptions(as_of="1")) == "first"
        assert await parts.names(ReadOptions()) == ["second", "other"]
        await parts.close()

    async def test_two_processes_that_project_into_one_database_write_nothing_twice(
        self, tmp_path: Path, open_tables: OpenTables
    ) -> None:
        parts = await assemble(tmp_path, open_tables("own"))
        rival = projector_of(parts.store, parts.engine)
        await rival.start()
        for n in range(20):
            last = await parts.rename(str(n % 3), f"n{n}")
            assert await (rival, parts.projector)[n % 2].catch_up() == last
        await asyncio.gather(rival.catch_up(), parts.projector.catch_up())
        async with parts.engine.connect() as connection:
            assert (await connection.execute(select(func.count()).select_from(TABLE.table))).scalar_one() == 20
        assert await parts.names(ReadOptions()) == ["n18", "n19", "n17"]
        assert await parts.names(ReadOptions(as_of="10")) == ["n9", "n7", "n8"]
        await parts.close()

    async def test_waiting_for_what_does_not_come_says_where_it_stands(self, parts: Parts) -> None:
        with pytest.raises(Unavailable, match=r"did not reach 5 in 0\.01 s"):
            await parts.projector.wait_for(5, timeout_s=0.01)

    async def test_what_does_not_come_is_waited_for_as_long_as_the_caller_waits(self, parts: Parts) -> None:
        call = Call(ANONYMOUS, "c-1", deadline_s=0.75)
        with calling(call), pytest.raises(Unavailable, match=r"did not reach 5 in 0\.25 s"):
            await parts.projector.wait_for(5)

    @PROPERTY
    @given(steps=steps, epoch_rows=st.sampled_from([1, 2, 1000]))
    async def test_every_past_answer_can_be_had_again(
        self, tmp_path: Path, open_tables: OpenTables, steps: list[tuple[str, str]], epoch_rows: int
    ) -> None:
        """What was answered after each step is answered as of that position later, before and after a rebuild."""
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(tables, "EPOCH_ROWS", epoch_rows)
            run = str(uuid7())
            parts = await assemble(tmp_path / run, open_tables(run))
            answers: dict[int, list[str]] = {}
            for which, name in steps:
                await parts.rename(which, name)
                head = await parts.projector.catch_up()
                answers[head] = await parts.names(ReadOptions())
            for _ in range(2):
                for position, answer in answers.items():
                    assert await parts.names(ReadOptions(as_of=str(position))) == answer
                await parts.projector.rebuild()
            await parts.close()

    @PROPERTY
    @given(keys=st.lists(names, unique=True, max_size=40))
    async def test_keys_are_compared_and_ordered_by_their_bytes(
        self, tmp_path: Path, open_tables: OpenTables, keys: list[str]
    ) -> None:
        run = str(uuid7())
        parts = await assemble(tmp_path / run, open_tables(run))
        written = [
            tables.Dated(Put(TABLE, {"stream": k}, k.encode(), {"times": 1}), "acme", n) for n, k in enumerate(keys, 1)
        ]
        async with parts.engine.begin() as connection:
            await tables.write(connection, written)
        async with parts.engine.connect() as connection:
            c = TABLE.table.c
            shown = select(c.stream, c.body).where(TABLE.at(None)).order_by(c.stream)
            found = [(row.stream, row.body) for row in await connection.execute(shown)]
            assert found == [(k, k.encode()) for k in sorted(keys, key=str.encode)]
            for key in keys:
                same = select(c.body).where(TABLE.at(None), c.tenant == "acme", c.stream == key)
                assert (await connection.execute(same)).scalars().all() == [key.encode()]
            other = select(c.body).where(TABLE.at(None), c.stream == "x" * 1_000_000)
            assert (await connection.execute(other)).all() == []
        await parts.close()


def newer_release(parts: Parts) -> tuple[Projector, tables.TemporalTable]:
    """The same service with another column."""
    other = MetaData()
    wider = temporal_table(other, "things", key=["stream"], columns=[Column("length", Integer, nullable=False)])

    def with_length(thing: Thing, stored: StoredEvent) -> Sequence[Change]:
        return [Put(wider, {"stream": stored.stream}, b"", {"length": len(thing.name)})]

    projection = EntityProjection(parts.store, THINGS, TYPES, with_length)
    return Projector("test", parts.store, parts.engine, other, [projection]), wider


def fail_in_the_middle(*_: object, **__: object) -> None:
    raise RuntimeError("in the middle")
