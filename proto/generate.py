"""Generate the package modelog-proto from the contracts; with --check, say whether what is committed is up to date."""

from __future__ import annotations

import filecmp
import os
import re
import shutil
import subprocess
import sys
import tempfile
from importlib.resources import files
from pathlib import Path

HERE = Path(__file__).parent
COMMITTED = HERE / "gen" / "modelog_proto"
HEADER = '"""The contracts of Modelog as generated Python; written by `make proto`."""\n'


def generate(target: Path) -> None:
    """Write the whole package modelog_proto into `target`."""
    protos = sorted(str(p.relative_to(HERE)) for d in ("modelog", "inference") for p in (HERE / d).rglob("*.proto"))
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch)
        subprocess.run(
            [
                sys.executable, "-m", "grpc_tools.protoc",
                f"-I{HERE}", f"-I{HERE / 'third_party'}", f"-I{files('grpc_tools') / '_proto'}",
                f"--python_out={out}", f"--grpc_python_out={out}",
                f"--mypy_out={out}", f"--mypy_grpc_out={out}",
                f"--descriptor_set_out={out / 'descriptors.binpb'}", "--include_source_info", "--include_imports",
                *protos,
            ],
            check=True,
            cwd=HERE,
            env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}"},
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        target.mkdir(parents=True, exist_ok=True)
        (target / "__init__.py").write_text(HEADER)
        (target / "py.typed").touch()
        shutil.copy(out / "descriptors.binpb", target / "descriptors.binpb")
        for root, inside in ((out / "modelog", target), (out / "inference", target / "inference")):
            for source in sorted(root.rglob("*.py*")):
                place = inside / source.relative_to(root)
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text(into_package(source.read_text()))
    for folder in (target, *target.rglob("*")):
        if folder.is_dir() and not (folder / "__init__.py").exists():
            (folder / "__init__.py").touch()


def into_package(text: str) -> str:
    """Move imports of `modelog.x` and `inference` under `modelog_proto`, so that the SDK can own the name `modelog`."""
    text = re.sub(r"\b(from|import) modelog\.(\w)", r"\1 modelog_proto.\2", text)
    text = re.sub(r"\b(from|import) inference\b", r"\1 modelog_proto.inference", text)
    return re.sub(r"(?<![\w./\"'])modelog\.(\w+)\.(v\d+)\.(\w+_pb2)", r"modelog_proto.\1.\2.\3", text)


def differences(left: Path, right: Path) -> list[str]:
    names = {str(p.relative_to(root)) for root in (left, right) for p in root.rglob("*") if p.is_file()}
    names = {n for n in names if "__pycache__" not in n}
    return sorted(n for n in names if not same(left / n, right / n))


def same(left: Path, right: Path) -> bool:
    return left.exists() and right.exists() and filecmp.cmp(left, right, shallow=False)


def main() -> int:
    if "--check" not in sys.argv:
        shutil.rmtree(COMMITTED, ignore_errors=True)
        generate(COMMITTED)
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        fresh = Path(scratch) / "modelog_proto"
        generate(fresh)
        stale = differences(fresh, COMMITTED)
    for name in stale:
        print(f"proto/gen/modelog_proto/{name} is not what the contracts generate; run `make proto`", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
