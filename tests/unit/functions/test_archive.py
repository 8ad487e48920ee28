"""Deployment packages: what may be kept and unpacked, and what may not."""

import stat
import struct
import zipfile
from contextlib import suppress
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.core.errors import ServiceError
from penstock.services.functions import archive


def packed(*entries: tuple[str | zipfile.ZipInfo, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip of entries."""
    made = BytesIO()
    with zipfile.ZipFile(made, "w", method) as written:
        for name, data in entries:
            written.writestr(name, data)
    return made.getvalue()


def special(name: str, kind: int) -> zipfile.ZipInfo:
    """An entry that says it is no plain file."""
    entry = zipfile.ZipInfo(name)
    entry.create_system, entry.external_attr = 3, (kind | 0o777) << 16
    return entry


def refusal(data: bytes) -> str:
    with pytest.raises(ServiceError) as caught:
        archive.check(data)
    assert caught.value.code == "InvalidParameterValueException"
    return str(caught.value.message)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_check_when_a_zip_is_plain_then_it_is_taken(method: int) -> None:
    archive.check(
        packed(
            ("app.py", b"x" * 1000),
            ("lib/", b""),
            ("lib/a.py", b""),
            (special("run", stat.S_IFREG), b"#!"),
            method=method,
        )
    )


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../x", "a/../../x", "a//b", "./a", "a/./b", "c:x", "a" * 256, "a\x01b", "d/" * 1100 + "f"]
)
def test_check_when_a_path_leads_elsewhere_then_the_zip_is_refused(name: str) -> None:
    assert "its path" in refusal(packed(("ok.py", b""), (name, b"x")))


def test_check_when_a_path_has_backslashes_then_the_zip_is_refused() -> None:
    data = packed(("a_b", b"x")).replace(b"a_b", b"a\\b")
    assert "its path is not relative" in refusal(data)


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        (stat.S_IFLNK, "it is a symbolic link"),
        (stat.S_IFIFO, "neither file nor folder"),
        (stat.S_IFCHR, "neither file nor folder"),
    ],
)
def test_check_when_an_entry_is_no_plain_file_then_the_zip_is_refused(kind: int, why: str) -> None:
    assert why in refusal(packed((special("l", kind), b"/etc/passwd")))


def test_check_when_a_path_is_file_and_folder_then_the_zip_is_refused() -> None:
    assert "a file and a folder" in refusal(packed(("a", b"x"), ("a/b", b"x")))


def test_check_when_it_would_unpack_to_too_much_then_it_is_refused_before_it_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(archive, "UNZIPPED_MAX_BYTES", 1000)
    archive.check(packed(("a", b"0" * 500), ("b", b"0" * 500)))
    assert refusal(packed(("a", b"0" * 500), ("b", b"0" * 501))) == "Unzipped size must be smaller than 1000 bytes"


def test_check_when_an_entry_lies_about_its_size_then_it_is_refused() -> None:
    data = bytearray(packed(("a", b"0" * 100_000)))
    at = data.rfind(b"PK\x01\x02")
    for size in (10, 200_000):
        struct.pack_into("<I", data, at + 24, size)
        assert "Could not unzip" in refusal(bytes(data))


@pytest.mark.parametrize("data", [b"x", b"PK\x05\x06", b"PK\x03\x04" + b"\0" * 30, b"PK\x05\x06" + b"\xff" * 18])
def test_check_when_it_is_no_zip_then_it_is_refused(data: bytes) -> None:
    refusal(data)


def test_check_when_it_is_empty_then_aws_says_so() -> None:
    assert refusal(b"") == refusal(packed()) == "Uploaded file must be a non-empty zip"


def test_check_when_the_checksum_is_wrong_then_it_is_refused() -> None:
    data = packed(("a", b"hello world"), method=zipfile.ZIP_STORED).replace(b"hello world", b"hello_world")
    assert "Could not unzip" in refusal(data)


def test_check_when_it_is_a_zip64_or_otherwise_packed_then_it_is_refused() -> None:
    plain = packed(("a", b"x"))
    at = plain.rfind(b"PK\x05\x06")
    assert "ZIP64" in refusal(plain[:at] + b"PK\x06\x07" + b"\0" * 16 + plain[at:])
    assert "neither stored nor deflated" in refusal(packed(("a", b"x"), method=zipfile.ZIP_BZIP2))


@given(st.integers(0, 200), st.integers(0, 255), st.integers(0, 200))
def test_check_when_bytes_are_changed_then_it_is_taken_or_refused_in_words(at: int, value: int, cut: int) -> None:
    data = bytearray(packed(("app.py", b"def handler(event, context): return event"), ("lib/b.py", b"y" * 40)))
    data[at % len(data)] = value
    with suppress(ServiceError):  # and raises nothing else
        archive.check(bytes(data[: len(data) - cut % len(data) // 4]))
