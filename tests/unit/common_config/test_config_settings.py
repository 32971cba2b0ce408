"""Settings come from MODELOG_* and say plainly what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest
from modelog_common.config import Settings, load_settings
from modelog_common.domain.errors import Invalid


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    for name in Settings.fields:
        monkeypatch.delenv(f"MODELOG_{name.upper()}", raising=False)
    monkeypatch.delenv("MODELOG_ENV_FILE", raising=False)
    monkeypatch.setenv("MODELOG_DATA_DIR", str(tmp_path))
    return monkeypatch


def refused() -> Invalid:
    with pytest.raises(Invalid) as error:
        load_settings()
    return error.value


def test_defaults_stand_in_the_data_folder(tmp_path: Path) -> None:
    settings = load_settings()
    assert (settings.service_host, settings.grpc_port, settings.http_port, settings.oip_grpc_port) == (
        "127.0.0.1", 0, 0, 0,
    )  # fmt: skip
    assert settings.event_store == f"sqlite:///{tmp_path}/events.db"
    assert settings.event_store_path() == tmp_path / "events.db"
    assert settings.blobs == f"file://{tmp_path}/blobs"
    assert settings.public_key_file == tmp_path / "keys" / "public.pem"
    assert settings.peers == {}
    assert (settings.log_level, settings.drain_s, settings.kafka_bootstrap) == ("info", 5.0, "")
    assert settings.connections == 20_000


def test_an_empty_variable_is_one_that_is_not_set(clean: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("MODELOG_EVENT_STORE", "MODELOG_BLOBS", "MODELOG_GRPC_PORT", "MODELOG_PEERS"):
        clean.setenv(name, "")
    assert load_settings().event_store == f"sqlite:///{tmp_path}/events.db"


def test_a_relative_folder_becomes_absolute(clean: pytest.MonkeyPatch, tmp_path: Path) -> None:
    clean.chdir(tmp_path)
    clean.setenv("MODELOG_DATA_DIR", "here")
    assert load_settings().data_dir == tmp_path / "here"
    assert load_settings().event_store_path() == tmp_path / "here" / "events.db"


def test_variables_are_read(clean: pytest.MonkeyPatch) -> None:
    clean.setenv("MODELOG_PEERS", '{"registry": "127.0.0.1:7001", "lineage": "[::1]:7002"}')
    clean.setenv("MODELOG_GRAPH_PASSWORD", "hush")
    clean.setenv("MODELOG_LOG_LEVEL", "WARNING")
    clean.setenv("MODELOG_EVENT_STORE", "sqlite:////srv/log.db")
    clean.setenv("MODELOG_OTLP_ENDPOINT", "http://127.0.0.1:4318")
    settings = load_settings()
    assert settings.peers == {"registry": "127.0.0.1:7001", "lineage": "[::1]:7002"}
    assert settings.graph_password.get_secret_value() == "hush"
    assert "hush" not in repr(settings)
    assert settings.log_level == "warning"
    assert settings.event_store_path() == Path("/srv/log.db")


def test_the_password_of_the_event_store_is_never_repeated(clean: pytest.MonkeyPatch) -> None:
    clean.setenv("MODELOG_EVENT_STORE", "postgresql://modelog:hush@db:5432/modelog")
    settings = load_settings()
    assert settings.event_store == "postgresql://modelog:hush@db:5432/modelog"
    assert "hush" not in repr(settings)
    clean.setenv("MODELOG_EVENT_STORE", "postgres:modelog:hush@db")
    assert "hush" not in str(refused())


def test_a_file_gives_what_the_environment_does_not(clean: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "settings.env"
    file.write_text("MODELOG_GRPC_PORT=7001\nMODELOG_HTTP_PORT=8080\nOTHER=1\n")
    clean.setenv("MODELOG_ENV_FILE", str(file))
    clean.setenv("MODELOG_HTTP_PORT", "9090")
    settings = load_settings()
    assert (settings.grpc_port, settings.http_port) == (7001, 9090)


def test_the_data_folder_must_be_given(clean: pytest.MonkeyPatch) -> None:
    clean.delenv("MODELOG_DATA_DIR")
    assert str(refused()) == (
        "wrong settings: MODELOG_DATA_DIR is not set; "
        "allowed: the folder that holds the service's files, such as /var/lib/modelog"
    )


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("MODELOG_GRPC_PORT", "70000", "a port from 0 to 65535; 0 takes a free one"),
        ("MODELOG_GRPC_PORT", "http", 'is "http": it must be a whole number; allowed'),
        ("MODELOG_DRAIN_S", "-1", "allowed: seconds from 0 to 3600"),
        ("MODELOG_DRAIN_S", "nan", "allowed: seconds from 0 to 3600"),
        ("MODELOG_LOG_LEVEL", "loud", "allowed: one of debug, info, warning, error"),
        ("MODELOG_PEERS", '{"registry": "nowhere"}', "registry has the address 'nowhere', which is not host:port"),
        ("MODELOG_PEERS", '{"registry": "a:0"}', "which is not host:port"),
        ("MODELOG_PEERS", '{"registry": "a:²"}', "which is not host:port"),
        ("MODELOG_PEERS", "registry=127.0.0.1:1", "is not JSON; allowed: a JSON object of service names and addresses"),
        ("MODELOG_PEERS", "[1]", "a JSON object of service names and addresses"),
        ("MODELOG_EVENT_STORE", "mongodb://x", "allowed: sqlite:///<path>, postgresql://"),
        ("MODELOG_EVENT_STORE", "sqlite:///", "this event store is not known"),
        ("MODELOG_EVENT_STORE", "kurrentdb://", "or kurrentdb://<host:port>?tls=true; empty means sqlite:///"),
        ("MODELOG_SERIES", "http://x/modelog/modelog", "allowed: influxdb://host:port/organisation/bucket"),
        ("MODELOG_WEBHOOK_NETWORKS", "10.0.0.1/8", "allowed: networks such as 10.0.0.0/8,127.0.0.0/8"),
        ("MODELOG_SEARCH", "solr://x", "allowed: elasticsearch://, http:// or https://host:port"),
        ("MODELOG_SEARCH", "http://x/a/b", "this search index is not known"),
        ("MODELOG_SERIES", "influxdb://x:8086/modelog", "this InfluxDB is not known"),
        ("MODELOG_CURVES", "http://x:8086/modelog/modelog", "this InfluxDB is not known"),
        (
            "MODELOG_TABLES",
            "mongodb://u:hush@h/d",
            "this database is not known; allowed: postgresql://user:password@host",
        ),
        (
            "MODELOG_BLOBS",
            "/srv/blobs",
            "this place for blobs is not known; allowed: file://<folder>, or s3://<bucket>",
        ),
        ("MODELOG_BLOBS", "s3://", "it names no folder or bucket"),
        ("MODELOG_BLOBS", "s3:///prefix", "this place for blobs is not known"),
        ("MODELOG_TABLES", "postgresql://u:hush@h", "it names no host or no database"),
        ("MODELOG_TABLES", "mysql:///d", "it names no host or no database"),
        ("MODELOG_OTLP_ENDPOINT", "127.0.0.1:4318", "it does not start with http:// or https://"),
    ],
)
def test_what_is_wrong_is_named_with_what_is_allowed(
    clean: pytest.MonkeyPatch, name: str, value: str, text: str
) -> None:
    clean.setenv(name, value)
    error = refused()
    assert text in str(error)
    assert "hush" not in str(error)
    assert [v.field for v in error.violations] == [name]


def test_all_wrong_variables_are_named_at_once(clean: pytest.MonkeyPatch) -> None:
    clean.setenv("MODELOG_GRPC_PORT", "-1")
    clean.setenv("MODELOG_LOG_LEVEL", "loud")
    assert {v.field for v in refused().violations} == {"MODELOG_GRPC_PORT", "MODELOG_LOG_LEVEL"}


def test_a_settings_file_that_is_missing_or_no_text(clean: pytest.MonkeyPatch, tmp_path: Path) -> None:
    clean.setenv("MODELOG_ENV_FILE", str(tmp_path / "none"))
    assert "MODELOG_ENV_FILE: there is no file" in str(refused())
    (tmp_path / "bytes").write_bytes(b"MODELOG_GRPC_PORT=\xff\xfe")
    clean.setenv("MODELOG_ENV_FILE", str(tmp_path / "bytes"))
    assert "is not UTF-8 text" in str(refused())


def test_the_service_token_is_read_from_its_file(clean: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "token"
    clean.setenv("MODELOG_SERVICE_TOKEN_FILE", str(file))
    with pytest.raises(Invalid, match=r"MODELOG_SERVICE_TOKEN_FILE: .* cannot be read \(No such file or directory\)"):
        load_settings().service_token()
    file.write_bytes(b"\xff\xff")
    with pytest.raises(Invalid, match=r"cannot be read \(not text\)"):
        load_settings().service_token()
    file.write_text(" \n")
    with pytest.raises(Invalid, match="is empty; allowed: the file with the service's own token"):
        load_settings().service_token()
    file.write_text("abc\n")
    assert load_settings().service_token() == "abc"


def test_keys_stand_in_the_data_folder_and_a_master_key_in_place_of_its_address_is_not_repeated(
    clean: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = load_settings()
    assert settings.key_store == f"sqlite:///{tmp_path}/data-keys.db"
    assert settings.master_key == f"file://{tmp_path}/keys/master.key"
    clean.setenv("MODELOG_MASTER_KEY", "c2VjcmV0")
    clean.setenv("MODELOG_KEY_STORE", "postgresql://modelog:hush@db/keys")
    clean.setenv("MODELOG_MASTER_KEY", "env://KEYS")
    assert load_settings().key_store == "postgresql://modelog:hush@db/keys"
    clean.setenv("MODELOG_MASTER_KEY", "c2VjcmV0")
    clean.setenv("MODELOG_KEY_STORE", "mysql://modelog:hush@db/keys")
    error = refused()
    assert {v.field for v in error.violations} == {"MODELOG_MASTER_KEY", "MODELOG_KEY_STORE"}
    assert "vault+https://<host:port>/<mount>/<key>" in str(error)
    assert "c2VjcmV0" not in str(error)
    assert "hush" not in str(error)
