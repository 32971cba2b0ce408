"""What every SearchStore promises: inherit the class and give it the fixture `search`."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from modelog_common.domain.errors import Invalid
from modelog_common.stores.search import Document, Found, Query, SearchStore
from modelog_common.stores.search.checks import LONGEST_NAME, LONGEST_TEXT, MOST_TAGS
from modelog_common.stores.search.words import MOST_WORDS, words_of

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
HOSTILE = [
    '"', "'", "*", "a*", "NEAR(a b)", "a AND", "AND", "OR NOT", "title:x", "-a", "^a", "{", "a:b", "(", '" OR 1 --',
    "\\", "/re/", "[1 TO 2]", "~", "&&", "a\nb", "\u202e", "?", "${x}", '{"match_all":{}}', "日本 é", "🛩", "%", "_",
]  # fmt: skip


def doc(id: str, title: str = "", position: int = 1, **more: Any) -> Document:
    return Document(**{"tenant": "acme", "id": id, "kind": "Model", "title": title, "position": position, **more})


def ids(found: Found) -> list[str]:
    return [document.id for document in found.documents]


async def found(search: SearchStore, text: str = "", **more: Any) -> list[str]:
    return ids(await search.find(Query("acme", text, **more)))


class SearchStoreSuite(ABC):
    """The suite; each test has a store of its own."""

    @pytest.fixture
    @abstractmethod
    def search(self) -> AsyncIterator[SearchStore]: ...

    async def test_a_new_store_is_empty(self, search: SearchStore) -> None:
        assert await search.mark() is None
        assert await search.find(Query("acme", "anything")) == Found([], 0, {}, {})
        assert await search.as_of("acme", ["a"], 1) == []
        await search.remove("acme", ["a"])

    async def test_documents_come_back_whole_with_the_mark(self, search: SearchStore) -> None:
        one = doc(
            "Model:a", "Flight delay", text="Says whether\na flight is late.", tags={"stage": "production", "": ""}
        )
        two = doc("Run:b", "fit", 7, kind="Run", until=9)
        await search.write([one, two], "so far")
        assert await search.mark() == "so far"
        assert (await search.find(Query("acme", "delay"))).documents == [one]
        assert (await search.find(Query("acme", at=8))).documents == [two, one]
        assert await search.as_of("acme", ["Model:a", "Run:b", "Run:c"], 9) == [one]
        assert {d.id for d in await search.as_of("acme", ["Model:a", "Run:b"], 8)} == {"Model:a", "Run:b"}

    async def test_all_words_must_be_there_and_the_last_may_be_begun(self, search: SearchStore) -> None:
        await search.write(
            [
                doc("a", "flight-delay", text="Trees for the airport"),
                doc("b", "flight_price", text="a linear model", tags={"team": "Airport"}),
                doc("c", "churn"),
            ],
            "",
        )
        assert set(await found(search, "flight")) == {"a", "b"}
        assert set(await found(search, "FLI")) == {"a", "b"}
        assert set(await found(search, "airport flight")) == {"a", "b"}
        assert await found(search, "delay trees") == ["a"]
        assert await found(search, "del trees") == [], "only the last word may be a beginning"
        assert await found(search, "trees del") == ["a"]
        assert await found(search, "team airp") == ["b"], "tags are words too"
        assert await found(search, "lights") == []
        assert set(await found(search, "  ")) == {"a", "b", "c"}

    async def test_case_and_accents_do_not_matter(self, search: SearchStore) -> None:
        await search.write([doc("a", "Prévision de Retards"), doc("b", "STRASSE"), doc("c", "模型 版本")], "")
        assert await found(search, "prevision") == ["a"]
        assert await found(search, "RÉTARDS") == ["a"]
        assert await found(search, "straße") == ["b"]
        assert await found(search, "模型") == ["c"]

    async def test_a_version_is_one_word(self, search: SearchStore) -> None:
        await search.write([doc("a", "delay 1.0.0"), doc("b", "delay 1.1.0"), doc("c", "delay 11.0", text="0.73.")], "")
        assert await found(search, "1.0.0") == ["a"]
        assert set(await found(search, "delay 1.")) == {"a", "b", "c"}
        assert await found(search, "1.1") == ["b"]
        assert await found(search, "0.73") == ["c"]
        assert await found(search, "0") == ["c"]

    async def test_better_matches_come_first_then_newer_ones(self, search: SearchStore) -> None:
        await search.write(
            [
                doc("anywhere", "x", 9, text="delay"),
                doc("begun", "delayed", 8),
                doc("word", "a delay", 1),
                doc("newer word", "delay b", 2),
                doc("newer begun", "delays", 10),
                doc("newer anywhere", "y", 11, tags={"about": "delays"}),
            ],
            "",
        )
        order = ["newer word", "word", "newer begun", "begun", "newer anywhere", "anywhere"]
        assert await found(search, "delay") == order
        assert await found(search) == ["newer anywhere", "newer begun", "anywhere", "begun", "newer word", "word"]
        assert await found(search, "a delay") == ["word"]

    async def test_the_order_stays_whatever_else_is_written(self, search: SearchStore) -> None:
        """No statistics of the whole index: an answer as of a position is the same for ever."""
        documents = [doc(f"d{n}", f"delay {'of flights' * (n % 3)}", n, text="delay " * n) for n in range(1, 8)]
        await search.write(documents, "")
        before = await search.find(Query("acme", "delay flights", at=7))
        await search.write([doc(f"e{n}", "flights flights", n, text="delay") for n in range(100, 160)], "")
        await search.write([doc("other", "delay flights", 3, tenant="umbrella")], "")
        assert await search.find(Query("acme", "delay flights", at=7)) == before

    async def test_kinds_and_tags_filter_and_are_counted(self, search: SearchStore) -> None:
        await search.write(
            [
                doc("a", "delay", 1, tags={"stage": "production", "flavor": "xgboost"}),
                doc("b", "delay", 2, tags={"stage": "staging", "flavor": "xgboost"}),
                doc("c", "delay", 3, kind="Run", tags={"stage": "production"}),
                doc("d", "price", 4, kind="Run", tags={"stage": "production=yes"}),
            ],
            "",
        )
        every = await search.find(Query("acme", "delay"))
        assert (every.total, every.kinds) == (3, {"Model": 2, "Run": 1})
        assert list(every.tags.items()) == [("flavor=xgboost", 2), ("stage=production", 2), ("stage=staging", 1)]
        assert await found(search, "delay", kinds=["Run"]) == ["c"]
        assert await found(search, kinds=["Run", "Model", "Planet"]) == ["d", "c", "b", "a"]
        assert await found(search, tags={"stage": "production"}) == ["c", "a"]
        both = await search.find(Query("acme", tags={"stage": "production", "flavor": "xgboost"}))
        assert (ids(both), both.total, both.kinds) == (["a"], 1, {"Model": 1})
        assert await found(search, tags={"stage": "prod"}) == [], "a tag is matched whole"
        assert await found(search, kinds=["model"]) == []

    async def test_pages_follow_each_other_without_gap_or_repeat(self, search: SearchStore) -> None:
        documents = [doc(f"d{n:03}", "delay" if n % 2 else "other", n // 3, text="delay") for n in range(100)]
        await search.write(documents, "")
        for text in ("", "delay"):
            whole = await search.find(Query("acme", text, limit=1000))
            assert (len(whole.documents), whole.next) == (100, "")
            paged: list[str] = []
            query = Query("acme", text, limit=7)
            while True:
                page = await search.find(query)
                assert (page.total, page.kinds) == (100, {"Model": 100})
                paged += ids(page)
                if not page.next:
                    break
                assert len(page.documents) == 7
                query = replace(query, after=page.next)
            assert paged == ids(whole)
        exact = await search.find(Query("acme", limit=100))
        assert exact.next == "", "no empty page at the end"

    async def test_as_of_a_position_what_was_true_then_is_found(self, search: SearchStore) -> None:
        first = doc("a", "delay", 3, tags={"stage": "staging"}, until=7)
        second = doc("a", "delay", 7, tags={"stage": "production"})
        await search.write([replace(first, until=None)], "3")
        await search.write([first, second], "7")
        seen = {}
        for at in (2, 3, 6, 7, 100, None):
            answer = await search.find(Query("acme", "delay", at=at))
            seen[at] = [d.tags["stage"] for d in answer.documents]
            assert answer.total == len(answer.documents)
        staging, production = ["staging"], ["production"]
        assert seen == {2: [], 3: staging, 6: staging, 7: production, 100: production, None: production}
        assert [await search.as_of("acme", ["a"], at) for at in (2, 6, 7)] == [[], [first], [second]]

    async def test_the_same_document_again_replaces_it(self, search: SearchStore) -> None:
        await search.write([doc("a", "old words", tags={"old": "tag"})], "1")
        await search.write([doc("a", "first"), doc("a", "new words", tags={"new": "tag"})], "2")
        assert await found(search, "old") == []
        assert await found(search, "first") == []
        assert await found(search, "new") == ["a"]
        assert await found(search, tags={"old": "tag"}) == []
        assert (await search.find(Query("acme"))).total == 1
        assert await search.mark() == "2"

    async def test_what_is_removed_is_gone_at_every_position(self, search: SearchStore) -> None:
        await search.write([doc("a", "delay", 1, until=2), doc("a", "delay", 2), doc("b", "delay", 3)], "3")
        await search.write([doc("a", "delay", tenant="umbrella")], "4")
        await search.remove("acme", ["a", "nothing"])
        assert await found(search, "delay") == ["b"]
        assert await found(search, "delay", at=1) == []
        assert ids(await search.find(Query("umbrella", "delay"))) == ["a"]
        assert await search.mark() == "4"

    async def test_a_tenant_finds_only_its_own(self, search: SearchStore) -> None:
        same = doc("Model:a", "delay", tags={"stage": "production"})
        await search.write([same, replace(same, tenant="umbrella", text="secret")], "")
        assert (await search.find(Query("acme", "delay"))).documents == [same]
        assert await found(search, "secret") == []
        assert (await search.find(Query("acme", tags={"stage": "production"}))).tags == {"stage=production": 1}
        assert await search.as_of("acme", ["Model:a"], 1) == [same]
        assert await search.find(Query("", "delay")) == Found([], 0, {}, {})
        assert await search.find(Query("acm*", "delay")) == Found([], 0, {}, {})

    async def test_drop_forgets_everything(self, search: SearchStore) -> None:
        await search.write([doc("a", "delay")], "1")
        await search.drop()
        assert await search.mark() is None
        assert await search.find(Query("acme")) == Found([], 0, {}, {})
        await search.write([doc("b", "delay")], "2")
        assert await found(search, "delay") == ["b"]

    @pytest.mark.parametrize("text", HOSTILE)
    async def test_hostile_text_is_only_text(self, search: SearchStore, text: str) -> None:
        hostile = doc(text, text, kind=text, text=text, tags={text: text})
        await search.write([hostile, doc("other", "something else", kind="Other")], text)
        assert await search.mark() == text
        assert ids(await search.find(Query("acme", kinds=[text]))) == [text]
        assert (await search.find(Query("acme", tags={text: text}))).documents == [hostile]
        assert await search.as_of("acme", [text], 1) == [hostile]
        if words_of(text):
            assert await found(search, text) == [text]
        else:
            with pytest.raises(Invalid, match="text: .* holds no word"):
                await found(search, text)

    @settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    @given(title=TEXTS, text=TEXTS, name=TEXTS, value=TEXTS)
    async def test_whatever_is_written_is_found_by_its_words(
        self, search: SearchStore, title: str, text: str, name: str, value: str
    ) -> None:
        written = doc("a", title, text=text, tags={name: value})
        await search.write([written], "")
        for words in (title, text, f"{name} {value}"):
            if all(word.isascii() for word in words_of(words)) and words.strip() and words_of(words):
                assert (await search.find(Query("acme", words))).documents == [written]
        assert (await search.find(Query("acme", tags={name: value}))).documents == [written]

    @pytest.mark.parametrize("bad", ["\0", "\ud800", "x" * (LONGEST_NAME + 1)])
    async def test_text_that_no_store_can_keep_is_refused(self, search: SearchStore, bad: str) -> None:
        for field, document in {
            "tenant": doc("a", tenant=bad),
            "id": doc(bad),
            "kind": doc("a", kind=bad),
            "title": doc("a", bad),
            "tags": doc("a", tags={"x": bad}),
        }.items():
            with pytest.raises(Invalid, match=rf"{field}: .*allowed"):
                await search.write([doc("fine"), document], "never")
        assert await search.mark() is None, "nothing of it is stored"
        assert await found(search) == []
        with pytest.raises(Invalid, match="tags"):
            await found(search, tags={bad: "x"})

    async def test_what_is_too_much_is_refused(self, search: SearchStore) -> None:
        with pytest.raises(Invalid, match=rf"text: .* has {LONGEST_TEXT + 1} characters; at most {LONGEST_TEXT}"):
            await search.write([doc("a", text="x" * (LONGEST_TEXT + 1))], "")
        with pytest.raises(Invalid, match=f"tags: there are {MOST_TAGS + 1} tags"):
            await search.write([doc("a", tags={str(n): "" for n in range(MOST_TAGS + 1)})], "")
        with pytest.raises(Invalid, match=f"text: has {MOST_WORDS + 1} words; at most {MOST_WORDS} are allowed"):
            await found(search, "a " * (MOST_WORDS + 1))
        with pytest.raises(Invalid, match="limit: is 0; from 1 to 1000 are allowed"):
            await found(search, limit=0)
        for token in ("x", "W10=", "eyJ9"):
            with pytest.raises(Invalid, match="after: is not a token that an earlier answer gave"):
                await found(search, after=token)

    async def test_the_longest_texts_are_kept(self, search: SearchStore) -> None:
        name = "日" * LONGEST_NAME
        long = doc(name, name, kind=name, text="x" * (LONGEST_TEXT - 4) + " end", tags={name: name})
        await search.write([long], "")
        assert (await search.find(Query("acme", "end", kinds=[name], tags={name: name}))).documents == [long]

    async def test_large_batches_are_found_at_once(self, search: SearchStore) -> None:
        def batch(numbers: Iterable[int]) -> list[Document]:
            return [doc(f"d{n}", f"delay {n}", n, tags={"odd": str(n % 2)}) for n in numbers]

        await asyncio.gather(*(search.write(batch(range(k * 1500, (k + 1) * 1500)), str(k)) for k in range(3)))
        answer = await search.find(Query("acme", "delay", tags={"odd": "1"}, limit=1))
        assert (ids(answer), answer.total) == (["d4499"], 2250)
        assert await found(search, "delay 4321") == ["d4321"]
        assert len(await search.as_of("acme", [f"d{n}" for n in range(4500)], 4500)) == 4500
        await search.remove("acme", [f"d{n}" for n in range(900)])
        assert (await search.find(Query("acme"))).total == 3600
