"""How records are shown."""

import base64
import json

from penstock.commands.shown import Shown, body, document, line
from penstock.core.ids import Millis

SHARD = "shardId-000000000003"


def record(data: bytes, key: str = "k") -> Shown:
    return Shown(SHARD, "4968", key, data, Millis(1_763_640_000_500))


def test_body_spreads_json_out_and_changes_no_value() -> None:
    assert body(b'{"a":1.10,"b":[12345678901234567890,"x"]}') == (
        '{\n  "a": 1.10,\n  "b": [\n    12345678901234567890,\n    "x"\n  ]\n}',
        True,
    )


def test_body_when_it_is_only_like_json_is_text() -> None:
    assert body(b"{not json") == ("{not json", False)
    assert body(b"[" * 100_000)[1] is False


def test_body_when_it_would_command_the_terminal_is_tamed() -> None:
    assert body(b"a\x1b[2J\tb\nc\r") == ("a\\x1b[2J\tb\nc\\r", False)
    assert body('{"a":"\u009b2J"}'.encode()) == ('{\n  "a": "\\x9b2J"\n}', True)


def test_body_when_binary_is_a_dump() -> None:
    text, is_json = body(bytes(range(20)))

    assert not is_json
    assert text == (
        "0000  00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f  ................\n"
        "0010  10 11 12 13                                      ...."
    )


def test_body_when_binary_and_long_says_how_much_is_left() -> None:
    assert body(b"\xff" * 1000)[0].endswith("\n... 744 bytes more")


def test_body_of_a_kpl_aggregate_says_so() -> None:
    assert body(b"\xf3\x89\x9a\xc2abc")[0].startswith(
        "an aggregate of the Kinesis Producer Library, 7 bytes, not opened\n"
    )


def test_line_is_one_line_whatever_the_data() -> None:
    assert line(record(b"a\tb\nc\x1b", "k\n")) == f"2025-11-20T12:00:00.500Z\t{SHARD}\tk\\n\ta\\tb\\nc\\x1b"
    assert line(record(b"\xff\x00")).endswith("\tk\tbase64:/wA=")
    assert line(record(b"\xf3\x89\x9a\xc2")).endswith("\tk\tkpl-aggregate:base64:84mawg==")


def test_document_keeps_every_byte() -> None:
    text, binary = json.loads(document(record("ä\n\0".encode()))), json.loads(document(record(b"\xff")))

    assert text == {
        "shard_id": SHARD, "sequence_number": "4968", "partition_key": "k", "arrived": "2025-11-20T12:00:00.500Z", "data": "ä\n\0",
    }  # fmt: skip
    assert "data" not in binary
    assert base64.b64decode(binary["data_base64"]) == b"\xff"
