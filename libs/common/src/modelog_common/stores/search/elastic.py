"""Search in Elasticsearch: one index, made from a template, that words, kinds and tags are looked up in.

Words are split here, not by one of its analyzers, and how well they match is counted as `SearchStore` says.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from elastic_transport import TransportError
from elasticsearch import ApiError, AsyncElasticsearch, BadRequestError, NotFoundError
from elasticsearch.helpers import BulkIndexError, async_bulk

from modelog_common.domain.errors import Unavailable
from modelog_common.stores.search import Document, Found, Query
from modelog_common.stores.search.checks import (
    ANYWHERE,
    MOST_FACETS,
    STILL,
    TITLE_BEGINNING,
    TITLE_WORD,
    all_text,
    check_documents,
    check_query,
    key_of,
    place_of,
    tag_of,
    tags_of,
    token_of,
)
from modelog_common.stores.search.words import wanted_words, words_of

T = TypeVar("T")
TIMEOUT_S = 30.0
CHUNK_DOCUMENTS = 1000
CHUNK_BYTES = 10 << 20
AT_ONCE = 1000
MARK = "mark"
_WORDS = {"type": "text", "analyzer": "whitespace", "norms": False, "index_options": "docs"}
# One shard: so counts are exact, and equal answers come in one order.
_SETTINGS = {"number_of_shards": 1, "auto_expand_replicas": "0-1"}
_MAPPINGS = {
    "dynamic": "strict",
    "properties": {
        "key": {"type": "keyword"},
        "tenant": {"type": "keyword"},
        "id": {"type": "keyword"},
        "kind": {"type": "keyword"},
        "tag": {"type": "keyword"},
        "position": {"type": "long"},
        "until": {"type": "long"},
        "title_words": _WORDS,
        "words": _WORDS,
        "document": {"type": "object", "enabled": False},
        "mark": {"type": "keyword", "index": False, "doc_values": False},
    },
}


class ElasticSearchStore:
    """A SearchStore in the index `index` of the Elasticsearch at `url`, http:// or https://."""

    def __init__(self, url: str, index: str, api_key: str = "") -> None:
        self._url, self._index = url, index
        self._client = AsyncElasticsearch(
            url, api_key=api_key or None, request_timeout=TIMEOUT_S, max_retries=0, retry_on_timeout=False
        )
        self._prepared = False

    async def write(self, documents: Sequence[Document], mark: str) -> None:
        check_documents(documents)
        await self._prepare()
        if documents:
            await self._bulk([{"_id": d["key"], **d} for d in map(_source, documents)])
        # Last, since a bulk is no transaction: the mark never says more than what is there.
        await self._answered(self._client.index(index=self._index, id=MARK, document={"mark": mark}, refresh=True))

    async def remove(self, tenant: str, ids: Sequence[str]) -> None:
        wanted = {"bool": {"filter": [{"term": {"tenant": tenant}}, {"terms": {"id": list(ids)}}]}}
        while keys := [hit["_id"] for hit in await self._hits(wanted)]:
            await self._bulk([{"_op_type": "delete", "_id": key} for key in keys])
            await self._answered(self._client.indices.refresh(index=self._index))

    async def as_of(self, tenant: str, ids: Sequence[str], at: int) -> list[Document]:
        found: list[Document] = []
        for start in range(0, len(ids), AT_ONCE):
            some = list(ids[start : start + AT_ONCE])
            filters = [{"term": {"tenant": tenant}}, {"terms": {"id": some}}, *_true_at(at)]
            found += [_document(hit["_source"]) for hit in await self._hits({"bool": {"filter": filters}})]
        return found

    async def find(self, query: Query) -> Found:
        check_query(query)
        place = place_of(query.after)
        answer = await self._answered(
            self._client.search(
                index=self._index,
                ignore_unavailable=True,
                query=_query(query),
                sort=[{"_score": "desc"}, {"position": "desc"}, {"key": "asc"}],
                search_after=None if place is None else list(place),
                size=query.limit + 1,
                track_total_hits=True,
                allow_partial_search_results=False,
                aggs={
                    "kinds": {"terms": {"field": "kind", "size": 1000}},
                    "tags": {"terms": {"field": "tag", "size": MOST_FACETS}},
                },
            )
        )
        hits = answer["hits"]["hits"]
        more = len(hits) > query.limit
        following = token_of(_place(hits[query.limit - 1]["sort"])) if more else ""
        documents = [_document(hit["_source"]) for hit in hits[: query.limit]]
        kinds, tags = (_counts(answer.get("aggregations", {}).get(name)) for name in ("kinds", "tags"))
        return Found(documents, answer["hits"]["total"]["value"], kinds, tags, following)

    async def mark(self) -> str | None:
        try:
            answer = await self._answered(self._client.get(index=self._index, id=MARK))
        except NotFoundError:
            return None
        return str(answer["_source"]["mark"])

    async def drop(self) -> None:
        await self._answered(self._client.indices.delete(index=self._index, ignore_unavailable=True))
        self._prepared = False
        await self._prepare()

    async def close(self) -> None:
        await self._client.close()

    async def _prepare(self) -> None:
        """Make the template and the index, once."""
        if self._prepared:
            return
        template = {"settings": _SETTINGS, "mappings": _MAPPINGS}
        await self._answered(
            self._client.indices.put_index_template(name=self._index, index_patterns=[self._index], template=template)
        )
        try:
            await self._answered(self._client.indices.create(index=self._index))
        except BadRequestError as error:
            if error.error != "resource_already_exists_exception":
                raise
        self._prepared = True

    async def _bulk(self, actions: Sequence[dict[str, Any]]) -> None:
        bulk = async_bulk(
            self._client,
            actions,
            index=self._index,
            chunk_size=CHUNK_DOCUMENTS,
            max_chunk_bytes=CHUNK_BYTES,
            # A document that somebody else has just removed is gone, as was wanted.
            ignore_status=(404,),
        )
        await self._answered(bulk)

    async def _hits(self, query: Mapping[str, Any]) -> list[dict[str, Any]]:
        answer = await self._answered(
            self._client.search(index=self._index, ignore_unavailable=True, query=query, size=AT_ONCE)
        )
        hits: list[dict[str, Any]] = answer["hits"]["hits"]
        return hits

    async def _answered(self, call: Awaitable[T]) -> T:
        try:
            return await call
        except (NotFoundError, BadRequestError):
            raise
        except ApiError as error:
            raise Unavailable(f"the search index at {self._url} refuses: {error}") from error
        except BulkIndexError as error:
            raise Unavailable(f"the search index at {self._url} refuses: {str(error.errors)[:300]}") from error
        except TransportError as error:
            raise Unavailable(f"the search index at {self._url} does not answer: {error}") from error


def _source(document: Document) -> dict[str, Any]:
    return {
        "key": key_of(document),
        "tenant": document.tenant,
        "id": document.id,
        "kind": document.kind,
        "tag": tags_of(document.tags),
        "position": document.position,
        "until": STILL if document.until is None else document.until,
        "title_words": " ".join(words_of(document.title)),
        "words": " ".join(words_of(all_text(document))),
        "document": {"title": document.title, "text": document.text, "tags": list(document.tags.items())},
    }


def _document(source: Mapping[str, Any]) -> Document:
    told, until = source["document"], source["until"]
    return Document(
        source["tenant"], source["id"], source["kind"], told["title"], source["position"], told["text"],
        dict(told["tags"]), None if until == STILL else until,
    )  # fmt: skip


def _query(query: Query) -> dict[str, Any]:
    at = STILL - 1 if query.at is None else query.at
    filters: list[dict[str, Any]] = [
        {"term": {"tenant": query.tenant}},
        *_true_at(at),
        *({"term": {"tag": tag_of(name, value)}} for name, value in query.tags.items()),
    ]
    if query.kinds:
        filters.append({"terms": {"kind": list(query.kinds)}})
    words = wanted_words(query.text)
    last = len(words) - 1
    must = [{"dis_max": {"queries": list(_ways(word, n == last))}} for n, word in enumerate(words)]
    return {"bool": {"filter": filters, "must": must}}


def _true_at(at: int) -> list[dict[str, Any]]:
    return [{"range": {"position": {"lte": at}}}, {"range": {"until": {"gt": at}}}]


def _ways(word: str, last: bool) -> Iterator[dict[str, Any]]:
    """The ways in which a word may match, each with what it counts."""
    yield _counting(TITLE_WORD, {"term": {"title_words": word}})
    yield _counting(ANYWHERE, {"term": {"words": word}})
    if last:
        yield _counting(TITLE_BEGINNING, {"prefix": {"title_words": word}})
        yield _counting(ANYWHERE, {"prefix": {"words": word}})


def _counting(points: int, query: Mapping[str, Any]) -> dict[str, Any]:
    return {"constant_score": {"filter": query, "boost": points}}


def _place(sort: Sequence[Any]) -> tuple[int, int, str]:
    return round(sort[0]), sort[1], sort[2]


def _counts(aggregation: Mapping[str, Any] | None) -> dict[str, int]:
    if aggregation is None:
        return {}
    return {bucket["key"]: bucket["doc_count"] for bucket in aggregation["buckets"]}
