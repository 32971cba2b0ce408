"""A data directory is made once, taken by one platform at a time, and left whole whatever goes wrong."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import modelog_common.lockfile
import pytest
from modelog_common.domain.clock import SystemClock
from modelog_common.domain.errors import Unavailable
from modelog_common.security.tokens import TokenVerifier
from modelog_platform import folder as module
from modelog_platform.folder import SERVICES, PlatformFolder, write_whole


@pytest.fixture
def folder(tmp_path: Path) -> PlatformFolder:
    return PlatformFolder(tmp_path / "deep" / "data")


def contents(root: Path) -> dict[str, tuple[bytes, int]]:
    return {str(f.relative_to(root)): (f.read_bytes(), f.stat().st_mtime_ns) for f in root.rglob("*") if f.is_file()}


def test_a_directory_is_made_once_with_secrets_of_its_own(folder: PlatformFolder) -> None:
    folder.prepare()
    made = contents(folder.root)
    folder.prepare()
    assert contents(folder.root) == made
    assert set(made) == {"format"} | {
        f"secrets/{name}" for name in ("signing.pem", "public.pem", "admin.token", "graph.password", "master.key")
    } | {f"secrets/{s}.token" for s in SERVICES}
    assert stat.S_IMODE((folder.secrets / "master.key").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.secrets.stat().st_mode) == 0o700
    verifier = TokenVerifier.from_file(folder.secrets / "public.pem", SystemClock())
    admin = verifier.verify(folder.admin_token())
    assert (admin.user, admin.roles) == ("admin", {"admin"})
    assert verifier.verify((folder.secrets / "serving.token").read_text()).user == "service:serving"


def test_a_start_that_broke_off_is_made_whole(folder: PlatformFolder) -> None:
    folder.prepare()
    for name in ("signing.pem", "graph.password"):
        (folder.secrets / name).rename(folder.secrets / f"{name}.part")
    (folder.secrets / "signing.pem.part").rename(folder.secrets / "signing.part")
    folder.prepare()
    assert {f.name for f in folder.secrets.iterdir()} >= {"signing.pem", "graph.password"}
    assert not list(folder.secrets.glob("*.part"))


@pytest.mark.parametrize("text", ["2\n", "99", "", "two"])
def test_a_directory_of_a_newer_release_is_refused_and_unchanged(folder: PlatformFolder, text: str) -> None:
    folder.prepare()
    folder.format_file.write_text(text)
    before = contents(folder.root)
    with pytest.raises(Unavailable, match="was written by a newer release") as caught:
        folder.prepare()
    assert "Nothing was changed" in str(caught.value)
    assert contents(folder.root) == before


def test_a_directory_that_cannot_be_one_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(Unavailable, match=r"cannot be used: (Not a directory|File exists)"):
        PlatformFolder(tmp_path / "file").prepare()


def test_only_one_platform_has_a_directory(folder: PlatformFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOCK_TIMEOUT_S", 0.1)
    assert folder.holder() is None
    folder.prepare()
    held = folder.lock()
    assert folder.holder() == os.getpid()
    with pytest.raises(Unavailable, match=rf"in use by a running platform \(process {os.getpid()}\); stop it with"):
        folder.lock()
    os.close(held)
    assert folder.holder() is None, "the file names a process that holds it no more"
    os.close(folder.lock())


def test_a_look_at_the_holder_does_not_keep_a_platform_from_starting(
    folder: PlatformFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.prepare()
    answers = iter([False, False, True])
    monkeypatch.setattr(modelog_common.lockfile, "_locked", lambda *_: next(answers))
    os.close(folder.lock())


def test_the_state_is_what_was_written_last(folder: PlatformFolder) -> None:
    folder.prepare()
    assert folder.read_state() == {}
    folder.write_state({"pid": 1})
    folder.write_state({"pid": 2})
    assert folder.read_state() == {"pid": 2}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte."""
    disk = tmp_path / "small"
    disk.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {done.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def fill(file: Path) -> None:
    """Write until the disk is full."""
    with suppress(OSError), file.open("wb", buffering=0) as out:
        while True:
            out.write(bytes(4096))


def test_a_disk_without_room_is_refused_before_anything_is_made(small_disk: Path) -> None:
    folder = PlatformFolder(small_disk / "data")
    with pytest.raises(Unavailable, match=r"has [01] MB left; the platform needs 128 MB. Nothing was changed"):
        folder.prepare()
    assert not folder.root.exists()


def test_a_disk_that_fills_up_leaves_what_was_there(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LEAST_FREE_BYTES", 0)
    folder = PlatformFolder(small_disk / "data")
    folder.prepare()
    folder.write_state({"pid": 1})
    before = contents(folder.root)
    filler = small_disk / "filler"
    fill(filler)
    with pytest.raises(OSError, match="No space left"):
        folder.write_state({"pid": 2, "more": "x" * 5000})
    assert folder.read_state() == {"pid": 1}
    folder.prepare()
    (folder.secrets / "graph.password").unlink()
    filler.unlink()
    fill(filler)
    with pytest.raises(Unavailable, match="cannot be used: No space left on device"):
        folder.prepare()
    filler.unlink()
    folder.prepare()
    after = contents(folder.root)
    kept = set(before) - {"secrets/graph.password", "run/state.json"}
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
    assert len((folder.secrets / "graph.password").read_text()) == 32


def test_files_are_written_whole_and_for_their_owner(tmp_path: Path) -> None:
    file = tmp_path / "x"
    (tmp_path / "x.part").write_text("left over")
    write_whole(file, b"1")
    write_whole(file, b"2")
    assert (file.read_bytes(), stat.S_IMODE(file.stat().st_mode)) == (b"2", 0o600)
    assert [f.name for f in tmp_path.iterdir()] == ["x"]


def test_a_directory_is_started_with_the_profile_of_its_log_only(tmp_path: Path) -> None:
    folder = PlatformFolder(tmp_path / "data")
    folder.prepare()
    folder.keep_log_in("postgres")
    folder.keep_log_in("postgres")
    with pytest.raises(Unavailable, match="the log of .* is in postgres, and the profile says embedded"):
        folder.keep_log_in("embedded")
    folder.keep_log_in("postgres")


def test_a_directory_is_started_with_the_profile_of_its_blobs_only(tmp_path: Path) -> None:
    """Blobs cannot be made again from the log, so they are not left behind unseen."""
    folder = PlatformFolder(tmp_path / "data")
    folder.prepare()
    (folder.data / "blobs").mkdir()
    with pytest.raises(Unavailable, match="the blobs of .* are in embedded, and the profile says minio"):
        folder.keep_blobs_in("minio")
    folder.keep_blobs_in("embedded")


def test_a_log_from_before_there_were_profiles_is_embedded(tmp_path: Path) -> None:
    folder = PlatformFolder(tmp_path / "data")
    folder.prepare()
    (folder.data / "events.db").touch()
    with pytest.raises(Unavailable, match="is in embedded, and the profile says postgres"):
        folder.keep_log_in("postgres")
    folder.keep_log_in("embedded")
