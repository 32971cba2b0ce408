"""Backups of platforms on servers: the log and the keys in PostgreSQL, blobs in a bucket, found without being told."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from pathlib import Path

import modelog
import obstore
import pytest
from modelog_platform.folder import PlatformFolder
from modelog_platform.log import commands
from obstore.store import S3Store
from real_servers import MinioServer, PostgresServer
from s3_blob_suite import in_bucket, make_bucket

sys.path.extend(str(Path(__file__).parents[1] / name) for name in ("integration/gateway", "e2e"))

from running_platform import RunningPlatform
from small_platform import SmallPlatform

LOG_BLOBS_AND_CURVES = '[ports]\nevents = "postgres"\nblobs = "minio"\ncurves = "influxdb"\n'


CURVE = [0.9, 0.5, math.inf]


def quiet(what: str, done: int, total: int) -> None:
    pass


@pytest.fixture
def bucket(minio: MinioServer, monkeypatch: pytest.MonkeyPatch) -> str:
    environment = {
        "AWS_ENDPOINT_URL": minio.url,
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": minio.access_key,
        "AWS_SECRET_ACCESS_KEY": minio.secret_key,
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return make_bucket(environment)


@pytest.fixture
def places(postgres: PostgresServer, bucket: str) -> dict[str, str]:
    return {"event_store": postgres.create_database(), "blobs": f"s3://{bucket}/original"}


@pytest.fixture
def original(places: dict[str, str], tmp_path: Path) -> Iterator[SmallPlatform]:
    """Its services were told where everything is, and it is remembered, as by `modelog up`."""
    small = SmallPlatform(tmp_path / "original", **places)
    folder = PlatformFolder(small.folder)
    folder.settings_file.parent.mkdir()
    folder.write_settings({f"MODELOG_{name.upper()}": address for name, address in places.items()})
    small.start()
    yield small
    small.stop()


def live(client: modelog.Client) -> str:
    """Something personal, and a blob; returns its digest."""
    client.users.create("dan", ["viewer"], email="dan@example.org")
    client.users.create("eve", ["viewer"], email="eve@example.org")
    client.users.erase("eve", "ticket 4711")
    return client.artifacts.upload_bytes(b"a model's bytes", "model.ubj").digest


def with_a_curve(client: modelog.Client) -> str:
    """A run that measured something; returns its id."""
    client.runs.experiment("delays")
    run = client.runs.start("delays")
    client.runs.log_metrics(run.id, {"loss": CURVE})
    return run.id


def details(client: modelog.Client) -> dict[str, str]:
    return {user.name: user.email for user in client.users.list() if user.name in ("dan", "eve")}


def test_keys_in_postgres_and_blobs_in_a_bucket_come_back(
    original: SmallPlatform, postgres: PostgresServer, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with original.client() as client:
        digest = live(client)
    backups, root = tmp_path / "backups", tmp_path / "restored"
    made = commands.create_backup(original.folder, "", backups, None, False, quiet)
    assert (made.blobs, made.copied) == (1, 1)
    assert [place.partition(" in ")[0] for place in made.elsewhere] == [
        "the log",
        "the keys of personal data",
        "the blobs",
    ]
    assert not any("modelog:" in place for place in made.elsewhere), "no passwords are shown"
    assert commands.create_backup(original.folder, "", backups, None, False, quiet).copied == 0
    assert commands.verify_backup(backups, "", quiet) == (made.position, [])

    new = {"event_store": postgres.create_database(), "blobs": f"s3://{bucket}/restored"}
    for name, address in new.items():
        monkeypatch.setenv(f"MODELOG_{name.upper()}", address)
    assert commands.restore_backup(backups, root, "", None, False, "", quiet) == made.position
    restored = SmallPlatform(root, master_key=f"file://{original.folder / 'data/keys/master.key'}", **new)
    restored.start()
    try:
        with restored.client() as client:
            assert details(client) == {"dan": "dan@example.org", "eve": "[erased]"}
            assert client.audit.head() == made.position
            assert bytes_of(client, digest, tmp_path) == b"a model's bytes"
    finally:
        restored.stop()


def bytes_of(client: modelog.Client, digest: str, folder: Path) -> bytes:
    return client.artifacts.download(digest, folder / "downloaded").read_bytes()


def test_an_altered_blob_in_the_bucket_is_not_backed_up(original: SmallPlatform, bucket: str, tmp_path: Path) -> None:
    with original.client() as client:
        digest = live(client)
    (name,) = [name for name in in_bucket(bucket) if name.endswith(digest)]
    obstore.put(S3Store(bucket, client_options={"allow_http": True}), name, b"a modem's bytes")
    with pytest.raises(modelog.ModelogError, match=f"the blob .*{digest} in s3://{bucket}/original was altered"):
        commands.create_backup(original.folder, "", tmp_path / "backups", None, False, quiet)
    assert not list((tmp_path / "backups").glob("*/manifest.json"))


@pytest.mark.slow
@pytest.mark.xdist_group("platform")
@pytest.mark.timeout(900)
def test_a_platform_whose_log_blobs_and_curves_are_on_its_own_servers_comes_back(server_folder: Path) -> None:
    """`modelog up --profile`: neither the address nor the password is given to the commands."""
    profile = server_folder / "mine.toml"
    profile.write_text(LOG_BLOBS_AND_CURVES)
    lost, backups = RunningPlatform(server_folder / "lost", str(profile)), server_folder / "backups"
    lost.folder.mkdir()
    lost.up()
    try:
        with lost.client() as client:
            digest, run_id = live(client), with_a_curve(client)
            client.runs.end(run_id)
            position = client.audit.head()
        said = lost.cli("backup", "create", str(backups), "--data-dir", str(lost.data_dir), "--secrets").stdout
    finally:
        lost.down()
    password = (lost.data_dir / "secrets" / "postgres.password").read_text()
    assert "with the log in postgresql://127.0.0.1:" in said
    assert "the blobs in s3://modelog" in said
    assert "the curves in influxdb://127.0.0.1:" in said
    assert not (lost.data_dir / "data" / "blobs").exists()
    assert not (lost.data_dir / "data" / "registry" / "curves.db").exists()
    assert password not in said
    assert (lost.data_dir / "run" / "settings.json").stat().st_mode & 0o077 == 0

    back = RunningPlatform(server_folder / "back", str(profile))
    back.folder.mkdir()
    back.cli("backup", "restore", str(backups), "--data-dir", str(back.data_dir), "--profile", str(profile))
    back.up()
    try:
        with back.client() as client:
            assert client.audit.head() == position
            assert details(client) == {"dan": "dan@example.org", "eve": "[erased]"}
            assert bytes_of(client, digest, server_folder) == b"a model's bytes"
            assert client.runs.history(run_id, "loss").values == CURVE
            client.models.create("goes-on")
    finally:
        back.down()
