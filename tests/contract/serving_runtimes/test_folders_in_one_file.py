"""A folder in a zip or tar file is unpacked as it is, and nothing in it can leave its folder."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from modelog_common.domain.errors import NotAllowed
from modelog_serving.runtimes import folder
from modelog_serving.runtimes.folder import the_one_with, unpacked

FILES = {"model/saved_model.pb": b"graph", "model/variables/variables.index": b"", "model/assets/words.txt": b"a\nb\n"}


def zipped(files: Mapping[str, bytes]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.mkdir("model")
        for name, content in files.items():
            packed.writestr(name, content)
    return target.getvalue()


def tarred(files: Mapping[str, bytes], mode: Any = "w:gz") -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode=mode) as packed:
        for name, content in files.items():
            told = tarfile.TarInfo(name)
            told.size = len(content)
            packed.addfile(told, io.BytesIO(content))
    return target.getvalue()


@pytest.mark.parametrize("pack", [zipped, tarred, lambda files: tarred(files, "w")])
def test_the_files_of_a_folder_are_there_as_long_as_they_are_needed(pack: Callable[..., bytes]) -> None:
    with unpacked(pack(FILES)) as found:
        assert {str(f.relative_to(found)): f.read_bytes() for f in found.rglob("*") if f.is_file()} == FILES
        assert the_one_with(found, "saved_model.pb") == found / "model"
        with pytest.raises(NotAllowed, match="the model file is a folder without config.json"):
            the_one_with(found, "config.json")
    assert not found.exists()


@pytest.mark.parametrize("pack", [zipped, tarred])
@pytest.mark.parametrize("name", ["../out", "model/../../out", "/tmp/out", "model\\..\\out"])
def test_what_would_leave_the_folder_is_refused(pack: Callable[..., bytes], name: str) -> None:
    with pytest.raises(NotAllowed, match="which is no plain relative path"), unpacked(pack({**FILES, name: b"x"})):
        pass


def test_links_are_refused(tmp_path: Path) -> None:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as packed:
        told = tarfile.TarInfo("model/link")
        told.type, told.linkname = tarfile.SYMTYPE, str(tmp_path)
        packed.addfile(told)
    in_zip = io.BytesIO()
    with zipfile.ZipFile(in_zip, "w") as packed_zip:
        info = zipfile.ZipInfo("model/link")
        info.external_attr = 0o120777 << 16
        packed_zip.writestr(info, str(tmp_path))
    for content in (target.getvalue(), in_zip.getvalue()):
        with pytest.raises(NotAllowed, match="holds 'model/link', which is no plain file"), unpacked(content):
            pass


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_more_than_is_allowed_is_refused_before_it_is_unpacked(
    pack: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "MOST_BYTES", 1000)
    with pytest.raises(NotAllowed, match="at most 10000 of 1000 are unpacked"), unpacked(pack({"zeros": bytes(5000)})):
        pass
    monkeypatch.setattr(folder, "MOST_FILES", 2)
    with pytest.raises(NotAllowed, match="has 3 files"), unpacked(pack(FILES)):
        pass


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_a_file_that_is_broken_off_or_something_else_is_refused(pack: Callable[..., bytes]) -> None:
    whole = pack({"model/weights": bytes(range(256)) * 40})
    for content in (whole[: len(whole) // 2], b"", b"PK\x03\x04", b"text", whole[:-30]):
        with pytest.raises(NotAllowed, match="the model file"), unpacked(content):
            pass
