"""What is known of each server without starting it, and what is said when one cannot be installed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from modelog_common.domain.errors import Invalid, Unavailable
from modelog_platform.servers import influxdb, kafka, minio
from modelog_platform.servers.__main__ import main
from modelog_platform.servers.catalogue import RECIPES, install, recipe_of
from modelog_platform.servers.packages import apt_install, installing, run
from modelog_platform.servers.recipe import Recipe, Site, servers_home
from modelog_platform.servers.running import RunningServer, run_command

PASSWORD = "hush-hush"


def site_of(recipe: Recipe, tmp_path: Path) -> Site:
    return Site(tmp_path / "home", tmp_path / "folder", tuple(range(4711, 4711 + recipe.ports)), PASSWORD)


def quiet(_: str) -> None:
    """Nobody is told of the steps."""


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=lambda recipe: recipe.name)
def test_a_password_never_stands_on_a_command_line(recipe: Recipe, tmp_path: Path) -> None:
    site = site_of(recipe, tmp_path)
    started = run_command(recipe, site.folder, site.ports, tmp_path / "password")
    assert PASSWORD not in " ".join(started)
    assert "4711" in recipe.address(site)
    assert "127.0.0.1" in recipe.address(site)
    try:
        command = recipe.command(site)
    except Unavailable:
        return  # PostgreSQL and MariaDB, where they are not installed
    assert PASSWORD not in " ".join(command)


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=lambda recipe: recipe.name)
def test_what_does_not_run_does_not_serve(recipe: Recipe, tmp_path: Path) -> None:
    nowhere = Site(tmp_path, tmp_path, (1, 2, 3), PASSWORD)
    assert not recipe.serves(nowhere)


def test_an_unknown_server_is_said_with_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Invalid, match="there is no recipe for oracle; there is one for elasticsearch, influxdb, kafka"):
        recipe_of("oracle")
    assert main(["install", "oracle"]) == 1
    assert "there is no recipe for oracle" in capsys.readouterr().err


@pytest.mark.usefixtures("nothing_installed")
def test_a_missing_program_is_said_with_its_remedy(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="installing kafka needs the program javac, .*: install a JDK of Java 17"):
        kafka.install(tmp_path / "kafka", quiet)
    with pytest.raises(Unavailable, match="building minio needs the program go, .*: install Go 1.24"):
        minio.install(tmp_path / "minio", quiet)
    with pytest.raises(Unavailable, match=r"building InfluxDB needs the program cargo, .*: install Rust"):
        influxdb.install(tmp_path / "influxdb", quiet)
    with pytest.raises(Unavailable, match="installing postgresql needs the program apt-get"):
        apt_install(tmp_path / "postgres", quiet, ["postgresql"], lambda: False)


def test_only_root_can_install_debians_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "apt-get"
    program.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(Unavailable, match="run `sudo apt-get install postgresql` once"):
        apt_install(tmp_path / "postgres", quiet, ["postgresql"], lambda: False)


def test_a_step_that_fails_is_said_with_what_it_said(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"`/bin/sh -c echo no luck; exit 3` in .* ended with status 3:\nno luck"):
        run(tmp_path, ["/bin/sh", "-c", "echo no luck; exit 3"])


def test_an_installation_that_broke_off_is_begun_again_and_a_whole_one_is_kept(tmp_path: Path) -> None:
    home = tmp_path / "server"
    with pytest.raises(RuntimeError), installing(home, b"recipe") as wanted:
        assert wanted
        (home / "half").touch()
        raise RuntimeError
    with installing(home, b"recipe") as wanted:
        assert wanted
        assert not (home / "half").exists()
    with installing(home, b"recipe") as wanted:
        assert not wanted
    with installing(home, b"another recipe") as wanted:
        assert wanted


def test_what_is_there_needs_no_installation(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No step is told, since none is taken."""
    monkeypatch.setenv("MODELOG_SERVERS_DIR", str(tmp_path))
    with installing(tmp_path / "minio", f"{minio.PACKAGE}@{minio.VERSION}".encode()):
        pass
    told: list[str] = []
    install(["minio"], lambda *step: told.extend(step))
    assert told == []


def test_servers_are_installed_where_the_variable_says_or_in_the_checkout(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MODELOG_SERVERS_DIR", str(tmp_path))
    assert servers_home() == tmp_path
    monkeypatch.delenv("MODELOG_SERVERS_DIR")
    assert servers_home() == Path(__file__).parents[3] / ".servers"


def test_a_server_that_does_not_come_up_is_said_with_the_end_of_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELOG_SERVERS_DIR", str(tmp_path / "empty"))
    server = RunningServer("minio", tmp_path / "minio")
    with pytest.raises(Unavailable, match=r"MinIO ended; its log .*server.log ends with:\nservers run: .*No such file"):
        server.start()
    server.stop()
