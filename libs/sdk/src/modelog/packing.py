"""A folder as one zip file: the same files make the same bytes, and so the same digest."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

from modelog.errors import Invalid

# The earliest moment that zip files know: when files were written is no part of what they are.
_THEN = (1980, 1, 1, 0, 0, 0)
_PLAIN = 0o100644 << 16


def zipped(folder: Path, target: Path) -> Path:
    """Write the files of `folder`, at their paths inside it; raises Invalid for links, and when there are none."""
    files = sorted(path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    if not files:
        raise Invalid(f"{folder}: holds no files")
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as packed:
        for file in files:
            if file.is_symlink() or not file.is_file():
                raise Invalid(f"{file}: is no plain file")
            info = zipfile.ZipInfo(file.relative_to(folder).as_posix(), _THEN)
            info.external_attr, info.create_system = _PLAIN, 3
            info.file_size = file.stat().st_size
            with file.open("rb") as source, packed.open(info, "w") as place:
                shutil.copyfileobj(source, place)
    return target
