"""What a batch reads and where it writes: files, folders, datasets, queries, buckets; and what is refused, by name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import modelog
import obstore
import polars as pl
import pytest
from batch_case import expected, ledger_in, output_in, ran, rows_of
from modelog.training import StoredModel
from obstore.store import S3Store
from polars.testing import assert_frame_equal

ROWS = rows_of(60)


def check(found: pl.DataFrame, rows: pl.DataFrame) -> None:
    """The rows as they were, each with its answer."""
    assert_frame_equal(found.select(rows.columns), rows)
    assert found.columns == [*rows.columns, "prediction", "model_version"]
    assert found["prediction"].to_numpy() == pytest.approx(expected(rows), abs=1e-6)
    assert set(found["model_version"]) == {"1.0.0"}


def test_a_parquet_file(model: StoredModel, work: Path) -> None:
    ROWS.write_parquet(work / "june.parquet")
    run = ran(model, work / "june.parquet", work / "out", rows_at_once=25)
    check(output_in(work / "out"), ROWS)
    assert [pl.read_parquet(f).height for f in sorted((work / "out").glob("*.parquet"))] == [25, 25, 10]
    ledger = ledger_in(work / "out")
    assert ledger["complete"]
    assert ledger["batch"]["model_digest"] == model.digest
    assert [point["value"] for point in run.points if point["name"] == "batch/rows"][-1] == 60
    assert run.metrics["batch/rows_total"] == 60


def test_a_folder_of_csv_keeps_its_texts_and_its_order(model: StoredModel, work: Path) -> None:
    (work / "in").mkdir()
    ROWS[:20].write_csv(work / "in" / "1.csv")
    ROWS[20:].with_columns(name=pl.lit("007")).write_csv(work / "in" / "2.csv")
    (work / "in" / "_ignored.csv").write_text("nothing\n")
    ran(model, work / "in", work / "out", rows_at_once=50)
    found = output_in(work / "out")
    assert found["name"].to_list() == [f"r{n}" for n in range(20)] + ["007"] * 40
    assert found["prediction"].to_numpy() == pytest.approx(expected(ROWS), abs=1e-6)


def test_a_dataset_that_the_job_names(model: StoredModel, work: Path) -> None:
    (work / "flights").mkdir()
    ROWS.write_parquet(work / "flights" / "3.parquet")
    data = {"flights": [work / "flights" / "3.parquet"]}
    ran(model, "flights@3", work / "out", datasets=data)
    check(output_in(work / "out"), ROWS)
    with pytest.raises(ValueError, match=r"spec\.datasets: flights 4 is not among the datasets of the job"):
        ran(model, "flights@4", work / "more", datasets=data)
    # In a query it has its name.
    ran(model, "flights@3", work / "few", datasets=data, query="select * from flights where hour < -0.9 order by name")
    check(output_in(work / "few"), ROWS.filter(pl.col("hour") < -0.9).sort("name"))


def test_a_query_over_an_input_and_over_files_that_it_names(model: StoredModel, work: Path) -> None:
    ROWS.write_parquet(work / "june.parquet")
    ROWS.select("name", carrier=pl.lit("UA")).write_csv(work / "carriers.csv")
    query = "select input.*, carrier from input join 'carriers.csv' using (name) where hour > -0.8 order by hour desc;"
    ran(model, work / "june.parquet", work / "out", query=query)
    check(
        output_in(work / "out"),
        ROWS.filter(pl.col("hour") > -0.8).sort("hour", descending=True).with_columns(carrier=pl.lit("UA")),
    )
    ran(model, "-", work / "alone", query="from 'june.parquet' limit 7")
    check(output_in(work / "alone"), ROWS[:7])


def test_an_input_without_rows_has_an_output_with_its_columns(model: StoredModel, work: Path) -> None:
    ROWS[:0].write_parquet(work / "none.parquet")
    ran(model, work / "none.parquet", work / "out")
    found = output_in(work / "out")
    assert (found.height, found.columns) == (0, ["name", "wind", "hour", "prediction", "model_version"])


def test_from_a_bucket_to_a_bucket(model: StoredModel, work: Path, bucket: str) -> None:
    store = S3Store(bucket, client_options={"allow_http": True})
    for name, rows in (("june/a.parquet", ROWS[:33]), ("june/b.parquet", ROWS[33:])):
        rows.write_parquet(work / "object.parquet")
        obstore.put(store, name, (work / "object.parquet").read_bytes())
    ran(model, f"s3://{bucket}/june", f"s3://{bucket}/scored/june", rows_at_once=40)
    written = sorted(each["path"] for page in obstore.list(store, prefix="scored/") for each in page)
    assert written == [
        f"scored/june/{name}" for name in ("_batch.json", "part-00000000.parquet", "part-00000001.parquet")
    ]
    (work / "back").mkdir()
    for name in written:
        (work / "back" / Path(name).name).write_bytes(bytes(obstore.get(store, name).bytes()))
    check(output_in(work / "back"), ROWS)
    # One that is gone is made again, to the byte; what is there is not.
    first = obstore.head(store, written[1])["last_modified"]
    obstore.delete(store, written[2])
    ran(model, f"s3://{bucket}/june/", f"s3://{bucket}/scored/june/", rows_at_once=40)
    assert obstore.head(store, written[1])["last_modified"] == first
    assert bytes(obstore.get(store, written[2]).bytes()) == (work / "back" / "part-00000001.parquet").read_bytes()
    ran(model, f"s3://{bucket}/june/a.parquet", work / "one")
    check(output_in(work / "one"), ROWS[:33])
    for source, why in (
        (f"s3://{bucket}/july", f"input: below s3://{bucket}/july is no object that ends in .csv or .parquet"),
        (f"s3://{bucket}/july/a.csv", "input: .*there is no such object"),
        ("s3://nobody-has-it/june", "input: .*no bucket 'nobody-has-it'"),
    ):
        with pytest.raises(modelog.Invalid, match=why):
            ran(model, source, work / "no")


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"source": "no.csv"}, "input: no.csv: there is no such file"),
        ({"source": "notes.txt"}, "input: notes.txt must end in .csv or .parquet, be a folder, NAME@VERSION or s3://"),
        ({"source": "empty"}, "input: the folder empty holds no file"),
        ({"source": "broken.parquet"}, "input: broken.parquet cannot be read: "),
        ({"source": "-"}, "input: is -, which stands for none; then a query is needed"),
        ({"query": "selec 1"}, "query: Parser Error"),
        ({"query": "select nothing from input"}, "query: Binder Error.*nothing"),
        ({"query": "drop table input"}, "query: holds DROP; allowed: one SELECT"),
        ({"query": "select 1; select 2"}, "query: holds SELECT, SELECT; allowed: one SELECT"),
        ({"query": "select name, hour from input"}, "has no column 'wind'; the model takes hour, wind, there are name"),
        ({"query": "select *, 1 as prediction from input"}, "has a column 'prediction', which the output adds"),
        (
            {"query": "select hour, date '2013-01-01' as wind from input"},
            "the column 'wind' holds Date; the model takes",
        ),
        ({"query": "select hour, 'x' as wind from input"}, "row 0, column 'wind': 'x' is no number"),
        ({"output": "out.parquet"}, "output: is 'out.parquet'; allowed: a folder, or s3://BUCKET/PREFIX"),
        ({"output": "."}, r"output: \. holds .*, and is no batch's"),
        ({"on_error": "skip"}, "on_error: is 'skip'; allowed: fail, null"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_what_is_refused_is_named(model: StoredModel, work: Path, given: dict[str, Any], why: str) -> None:
    ROWS.write_parquet("june.parquet")
    (work / "broken.parquet").write_bytes(b"PAR1 and nothing more")
    (work / "empty").mkdir()
    asked = {"source": "june.parquet", "output": "out", **given}
    with pytest.raises(modelog.Invalid, match=why):
        ran(model, **asked)


def test_parameters_that_are_none_are_refused(model: StoredModel, work: Path) -> None:
    ROWS.write_parquet("june.parquet")
    for more, why in (
        ({"rows_at_once": "many"}, r"spec\.parameters: Expected `int`, got `str` - at `\$\.rows_at_once`"),
        ({"rows_at_once": 0}, r"spec\.parameters\.rows_at_once: is 0; allowed: 1 or more"),
        ({"colour": "red"}, re.escape("spec.parameters: Object contains unknown field `colour`")),
    ):
        with pytest.raises(ValueError, match=why):
            ran(model, "june.parquet", "out", **more)
