"""Notes, keys and checkpoints: the vectors of Go's sumdb/note, and every way a note can be wrong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelog_proofs import (
    EMPTY_ROOT,
    Checkpoint,
    InvalidKey,
    InvalidNote,
    PrivateKey,
    generate_key,
    open_checkpoint,
    open_note,
    parse_checkpoint,
    parse_note,
    parse_private_key,
    parse_public_key,
    sign_checkpoint,
    sign_note,
)

# golang.org/x/mod v0.20.0, sumdb/note/example_test.go
PRIVATE = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
PUBLIC = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
SIGNATURE = (
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
NOTE = f"{TEXT}\n{SIGNATURE}"
ROOT = "A" * 43 + "="


def test_signing_gives_the_published_note() -> None:
    assert sign_note(TEXT, parse_private_key(PRIVATE)) == NOTE


def test_the_published_note_opens_with_the_published_key() -> None:
    opened = open_note(NOTE, [parse_public_key(PUBLIC)])
    assert opened.text == TEXT
    assert [(s.name, s.key_id.hex(), len(s.signature)) for s in opened.signatures] == [("PeterNeumann", "c74f20a3", 64)]


def test_keys_survive_their_text() -> None:
    assert parse_private_key(PRIVATE).public_key.text() == PUBLIC
    key = generate_key("modelog.example/log")
    assert parse_private_key(key.text() + "\n") == key
    assert parse_public_key(f" {key.public_key.text()}\n") == key.public_key
    assert generate_key("modelog.example/log") != key


def test_a_private_key_does_not_show_its_secret() -> None:
    assert repr(parse_private_key(PRIVATE)) == "PrivateKey(name='PeterNeumann')"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "has the form name.id.base64, this text has 1 part"),
        ("a+b", "this text has 2 part"),
        ("+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", "A key name must not be empty"),
        ("a b+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", "A key name must not .* hold white space"),
        (PUBLIC.replace("c74f20a3", "C74F20A3"), "8 lower-case hexadecimal digits, not 'C74F20A3'"),
        (PUBLIC.replace("c74f20a3", "c74f20a"), "8 lower-case hexadecimal digits"),
        (PUBLIC.replace("c74f20a3", "c74f20a4"), "The id c74f20a4 does not belong to this public key of PeterNeumann"),
        (PUBLIC.replace("Peter", "Pete"), "The id c74f20a3 does not belong to this public key"),
        (PUBLIC[:-1], "The last part of the public key is not standard base64"),
        (PUBLIC.replace("/", "_"), "The last part of the public key is not standard base64"),
        (PUBLIC.replace("ARpc", "ARpé"), "The last part of the public key is not standard base64"),
        (PUBLIC.replace("+ARpc", "+AApc"), "is not Ed25519: its type byte is 00, not 01"),
        ("a+c74f20a3+", "is not Ed25519: its type byte is missing"),
        (PUBLIC[:-4], "An Ed25519 public key is 32 bytes, not 29"),
        (PRIVATE, "This is a private key where a public key is needed"),
    ],
)
def test_a_wrong_public_key_is_explained(text: str, sentence: str) -> None:
    with pytest.raises(InvalidKey, match=sentence):
        parse_public_key(text)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (PUBLIC, "A private key starts with PRIVATE.KEY."),
        (PRIVATE.replace("c74f20a3", "c74f20a4"), "The id c74f20a4 does not belong to this private key"),
        (PRIVATE[:-4], "An Ed25519 private key is 32 bytes, not 29"),
    ],
)
def test_a_wrong_private_key_is_explained(text: str, sentence: str) -> None:
    with pytest.raises(InvalidKey, match=sentence):
        parse_private_key(text)


def test_a_note_with_further_signatures_opens_by_any_trusted_one() -> None:
    log, witness, stranger = (generate_key(name) for name in ("log", "witness", "stranger"))
    note = sign_note("size\n\n10\n", log, witness)
    assert parse_note(note).text == "size\n\n10\n"
    assert open_note(note, [witness.public_key]).text == "size\n\n10\n"
    assert len(open_note(note, [stranger.public_key, log.public_key]).signatures) == 2
    with pytest.raises(InvalidNote, match=r"signed by log\+.*, witness\+.*, not by the trusted stranger\+"):
        open_note(note, [stranger.public_key])


def test_another_key_of_the_same_name_is_not_trusted() -> None:
    with pytest.raises(InvalidNote, match="not by the trusted log"):
        open_note(sign_note("text\n", generate_key("log")), [generate_key("log").public_key])


@pytest.mark.parametrize("altered", [TEXT.replace("your", "my"), TEXT + "x\n", TEXT.replace("\n", "\n\n", 1)])
def test_an_altered_text_is_found(altered: str) -> None:
    with pytest.raises(InvalidNote, match="The signature by PeterNeumann does not match the text: the note"):
        open_note(f"{altered}\n{SIGNATURE}", [parse_public_key(PUBLIC)])


def test_one_wrong_signature_by_a_trusted_key_spoils_the_note() -> None:
    key = parse_private_key(PRIVATE)
    wrong = sign_note("another text\n", key).partition("\n\n")[2]
    with pytest.raises(InvalidNote, match="does not match the text"):
        open_note(NOTE + wrong, [key.public_key])


def test_a_signature_of_another_length_does_not_match() -> None:
    short = "— PeterNeumann x08go/ZJ\n"
    with pytest.raises(InvalidNote, match="does not match the text"):
        open_note(f"{TEXT}\n{short}", [parse_public_key(PUBLIC)])


@pytest.mark.parametrize(
    ("note", "sentence"),
    [
        ("", "no empty line between its text and its signatures"),
        (TEXT, "no empty line between its text and its signatures"),
        (NOTE[:-1], "does not end in a newline: its end is missing"),
        (TEXT + "\n", "The note has no signature"),
        (NOTE.replace("— ", "- "), "Line 4 of the note is not a signature: it must start with an em dash"),
        (f"{TEXT}\n— PeterNeumann\n", "Line 4 .* must hold a key name, a space and base64"),
        (f"{TEXT}\n— Peter+N AAAAAAAA\n", "Line 4 .* A key name must not"),
        (f"{TEXT}\n— PeterNeumann x08go/!!\n", "Line 4 .* not standard base64: 'x08go/!!'"),
        (f"{TEXT}\n— PeterNeumann x08goB==\n", "Line 4 .* not canonical base64: 'x08goB=='"),
        (f"{TEXT}\n— PeterNeumann x08gow==\n", "Line 4 .* holds 4 bytes, and needs more than 4"),
        (NOTE.replace("\n", "\r\n"), r"Line 1 of the note holds the control character U\+000D"),
        (NOTE.replace("then", "\0then"), r"Line 2 of the note holds the control character U\+0000"),
        (NOTE.replace("then", "\ud800"), "The note is not valid UTF-8"),
        (f"{TEXT}\n{SIGNATURE * 101}", "The note has 101 signatures; at most 100"),
        ("x" * 1_000_001, "The note has 1000001 characters; at most 1000000"),
    ],
)
def test_a_malformed_note_is_explained(note: str, sentence: str) -> None:
    with pytest.raises(InvalidNote, match=sentence):
        parse_note(note)


def test_what_cannot_be_signed_is_refused() -> None:
    with pytest.raises(InvalidNote, match="must end in a newline"):
        sign_note("text", generate_key("log"))
    with pytest.raises(InvalidNote, match="at least one signature"):
        sign_note("text\n")
    with pytest.raises(InvalidNote, match="control character"):
        sign_note("te\txt\n", generate_key("log"))


@given(st.text(max_size=200), st.integers(0, len(NOTE)), st.integers(0, len(NOTE)))
def test_no_text_makes_the_parser_fail_in_another_way(text: str, start: int, end: int) -> None:
    altered = NOTE[:start] + text + NOTE[end:]
    try:
        opened = open_note(altered, [parse_public_key(PUBLIC)])
    except InvalidNote:
        return
    assert opened.text == TEXT


def test_a_checkpoint_is_three_lines_and_a_signature() -> None:
    key = parse_private_key(PRIVATE)
    checkpoint = Checkpoint("PeterNeumann", 20852163, EMPTY_ROOT)
    note = sign_checkpoint(checkpoint, key)
    lines = note.split("\n")
    assert lines[:4] == ["PeterNeumann", "20852163", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", ""]
    assert open_checkpoint(note, key.public_key) == open_checkpoint(note, PUBLIC) == checkpoint


def test_the_checkpoint_of_another_log_is_refused() -> None:
    key = parse_private_key(PRIVATE)
    note = sign_checkpoint(Checkpoint("other.example/log", 1, EMPTY_ROOT), key)
    with pytest.raises(InvalidNote, match=r"is of the log 'other\.example/log', not of 'PeterNeumann'"):
        open_checkpoint(note, PUBLIC)
    assert open_checkpoint(note, PUBLIC, origin="other.example/log").size == 1


def test_extension_lines_are_kept() -> None:
    checkpoint = Checkpoint("log", 0, EMPTY_ROOT, ("first", "second"))
    assert parse_checkpoint(checkpoint.text()) == checkpoint


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("log\n1\n" + ROOT, "does not end in a newline"),
        ("log\n1\n", r"has 3 lines \(origin, size, root\), this one has 2"),
        (f"\n1\n{ROOT}\n", "Line 1 of the checkpoint, the origin, is empty"),
        (f"log\n01\n{ROOT}\n", "Line 2 .* must be a decimal number, not '01'"),
        (f"log\n-1\n{ROOT}\n", "Line 2 .* not '-1'"),
        (f"log\n١\n{ROOT}\n", "Line 2"),
        (f"log\n{'9' * 20}\n{ROOT}\n", "Line 2"),
        ("log\n1\nxyz\n", "Line 3 .* the root hash, is not standard base64: 'xyz'"),
        ("log\n1\nAAAA\n", "Line 3 .* the root hash, is 3 bytes, not 32"),
        (f"log\n1\n{ROOT}\nx\n\ny\n", "Line 5 of the checkpoint is empty"),
    ],
)
def test_a_malformed_checkpoint_names_its_line(text: str, sentence: str) -> None:
    with pytest.raises(InvalidNote, match=sentence):
        parse_checkpoint(text)


def test_a_checkpoint_that_would_not_read_back_is_not_signed() -> None:
    key: PrivateKey = generate_key("log")
    with pytest.raises(InvalidNote, match="holds a line break"):
        sign_checkpoint(Checkpoint("log", 1, EMPTY_ROOT, ("one\ntwo",)), key)
    with pytest.raises(InvalidNote, match="Line 2"):
        sign_checkpoint(Checkpoint("log", -1, EMPTY_ROOT), key)
