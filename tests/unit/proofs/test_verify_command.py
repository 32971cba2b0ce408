"""`python -m modelog_proofs`: what it prints and how it exits."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from modelog_proofs import EventRecord, MerkleTree, make_bundle
from modelog_proofs.__main__ import main


@pytest.fixture
def files(tmp_path: Path, store: Path, checkpoint: str, public_key: str) -> list[str]:
    (tmp_path / "checkpoint").write_bytes(checkpoint.encode())
    (tmp_path / "log.pub").write_text(public_key + "\n", encoding="utf-8")
    return [str(store), str(tmp_path / "checkpoint"), str(tmp_path / "log.pub")]


def flip_payload(store: str) -> None:
    content = Path(store).read_bytes()
    Path(store).write_bytes(content.replace(b"UA0041", b"UA0040", 1))


def test_the_module_runs_on_its_own(files: list[str]) -> None:
    command = [sys.executable, "-m", "modelog_proofs", *files]
    good = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    assert (good.returncode, good.stderr) == (0, "")
    assert "VERIFIED" in good.stdout
    flip_payload(files[0])
    bad = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    assert (bad.returncode, bad.stderr) == (1, "")
    assert "FAILED\n- The events at positions 1 to 60 do not give the signed root" in bad.stdout


def test_the_key_may_be_given_as_text(files: list[str], public_key: str) -> None:
    assert main([*files[:2], public_key]) == 0


def test_kept_hashes_locate_the_event(
    files: list[str], leaf_hashes: list[bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flip_payload(files[0])
    kept = tmp_path / "hashes"
    kept.write_text("".join(f"{leaf_hash.hex()}\n" for leaf_hash in leaf_hashes), encoding="ascii")
    assert main([*files, "--leaf-hashes", str(kept), "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["first_altered"] == 41
    assert (report["ok"], report["unsigned_events"], len(report["failures"])) == (False, 0, 2)


def test_a_missing_store_is_a_failed_report(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["/no/such/store", *files[1:]]) == 1
    assert "- There is no file /no/such/store." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(None, "No such file"), (b"\xff\xfe", "can't decode byte"), (b"zz\n", "must hold one hexadecimal hash a line")],
    ids=["missing", "not text", "not hexadecimal"],
)
def test_wrong_arguments_exit_with_2(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, sentence: str
) -> None:
    kept = tmp_path / "hashes"
    if content is not None:
        kept.write_bytes(content)
    with pytest.raises(SystemExit) as exit_:
        main([*files, "--leaf-hashes", str(kept)])
    assert exit_.value.code == 2
    assert sentence in capsys.readouterr().err


def test_a_proof_is_checked_with_the_public_key_alone(
    tmp_path: Path, events: list[EventRecord], tree: MerkleTree, checkpoint: str, public_key: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    bundle = tmp_path / "proof.json"
    made = make_bundle(events[6], tree.inclusion_proof(6, len(events)), checkpoint)
    bundle.write_text(json.dumps(made))
    assert main(["--proof", str(bundle), public_key]) == 0
    told = capsys.readouterr().out
    assert "VERIFIED: position 7 of modelog.example/acme (60 events)" in told
    assert '{"flight": "UA0007", "delay_min": 10.5}' in told
    bundle.write_text(json.dumps(made).replace("UA0007", "UA0008"))
    assert main(["--proof", str(bundle), public_key]) == 1
    assert "does not lead to the root" in capsys.readouterr().out
    with pytest.raises(SystemExit) as wrong:
        main(["--proof", str(tmp_path / "none.json"), public_key])
    assert wrong.value.code == 2
