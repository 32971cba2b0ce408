"""What a batch may read: files, folders, stored datasets, buckets, and what a query makes of them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Callable, List, Optional, Tuple

from modelog.api.datasets import digest_of
from modelog.batch.bucket import S3, Bucket, names_of
from modelog.batch.libraries import in_short, library
from modelog.batch.tables import ENDINGS, Input, Table, input_of, scanned, table_of
from modelog.errors import Invalid

NONE = "-"
# What a query calls the rows of the input.
INPUT = "input"
_DATASET = re.compile(r"([^/\\@:]+)@([0-9]+)")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
FetchDataset = Callable[[str, int], Path]


def dataset_of(source: str) -> Optional[Tuple[str, int]]:
    """Name and version of "NAME@VERSION"; None for what is something else."""
    found = _DATASET.fullmatch(source)
    return (found.group(1), int(found.group(2))) if found else None


def check_named(source: str, query: str) -> None:
    """Raises Invalid for what names no input."""
    if not source:
        raise Invalid(
            "input: is empty; allowed: a file, a folder, NAME@VERSION of a dataset, s3://BUCKET/KEY, or - with a query"
        )
    if source == NONE and not query:
        raise Invalid("input: is -, which stands for none; then a query is needed that names its files")


def open_table(source: str, folder: Path, dataset: FetchDataset, query: str = "") -> Table:
    """The rows of `source`, or those that `query` makes of it; what is fetched or made lies in `folder`.

    Raises Invalid, which names the input or the query and says what is wrong.
    """
    check_named(source, query)
    found = None if source == NONE else _found(source, folder, dataset)
    return table_of(found, folder) if found is not None and not query else _queried(query, found, source, folder)


def statement_of(query: str) -> str:
    """Raises Invalid for what is not one SELECT."""
    duckdb = library("duckdb")
    try:
        statements = duckdb.extract_statements(query)
    except duckdb.Error as error:
        raise Invalid(f"query: {in_short(error)}") from None
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        kinds = ", ".join(each.type.name for each in statements) or "nothing"
        raise Invalid(f"query: holds {kinds}; allowed: one SELECT")
    return str(statements[0].query).strip().rstrip(";")


def _found(source: str, folder: Path, dataset: FetchDataset) -> Input:
    if source.startswith(S3):
        return _from_bucket(source, folder)
    path, named = Path(source), dataset_of(source)
    if named is not None and not path.exists():
        return input_of(f"dataset {source}", [dataset(*named)])
    if path.is_dir():
        files = sorted(
            file
            for file in path.rglob("*")
            if file.suffix in ENDINGS and not any(part.startswith(("_", ".")) for part in file.relative_to(path).parts)
        )
        if not files:
            raise Invalid(f"input: the folder {source} holds no file that ends in {' or '.join(ENDINGS)}")
        return input_of(source, files, [file.relative_to(path).as_posix() for file in files])
    if path.suffix not in ENDINGS:
        raise Invalid(f"input: {source} must end in {' or '.join(ENDINGS)}, be a folder, NAME@VERSION or s3://...")
    if not path.is_file():
        raise Invalid(f"input: {source}: there is no such file")
    return input_of(source, [path])


def _from_bucket(source: str, folder: Path) -> Input:
    """One object, or all below a prefix."""
    if source.endswith(ENDINGS):
        address, _, name = source.rpartition("/")
        bucket, names = Bucket(address, "input"), [name]
    else:
        bucket = Bucket(source, "input")
        names = names_of(bucket, ENDINGS)
        if not names:
            raise Invalid(f"input: below {source} is no object that ends in {' or '.join(ENDINGS)}")
    files: List[Path] = []
    for number, name in enumerate(names):
        files.append(bucket.fetch(name, folder / f"object-{number:08d}{Path(name).suffix}"))
    return input_of(source, files, names)


def _queried(query: str, found: Optional[Input], source: str, folder: Path) -> Table:
    """The rows of a query, kept as Parquet. One thread: the rows come in the same order each time."""
    duckdb = library("duckdb")
    statement, kept = statement_of(query), folder / "query.parquet"
    # Nothing is fetched for it from elsewhere.
    settings = {"threads": 1, "autoinstall_known_extensions": False, "autoload_known_extensions": False}
    with duckdb.connect(":memory:", config=settings) as connection:
        if found is not None:
            _views(connection, found, source)
        try:
            connection.sql(statement).write_parquet(str(kept))
        except duckdb.Error as error:
            raise Invalid(f"query: {in_short(error)}") from None
    if found is not None:
        found.check()
    title = "the query" if found is None else f"the query over {found.title}"
    return scanned(title, [str(kept)], digest_of(kept))


def _views(connection: Any, found: Input, source: str) -> None:
    """The input as the table `input`, and a dataset by its own name too."""
    duckdb = library("duckdb")
    read = "read_csv" if found.files[0].endswith(".csv") else "read_parquet"
    files = ", ".join("'" + file.replace("'", "''") + "'" for file in found.files)
    named = dataset_of(source)
    names = [INPUT] + ([named[0]] if named is not None and _NAME.fullmatch(named[0]) and named[0] != INPUT else [])
    try:
        for name in names:
            connection.execute(f'create view "{name}" as select * from {read}([{files}])')
    except duckdb.Error as error:
        raise Invalid(f"input: {found.title} cannot be read: {in_short(error)}") from None
