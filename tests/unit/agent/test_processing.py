"""dataProcessingOptions: AWS's documented examples, and what is refused."""

import json
from typing import Any

import pytest

from penstock.agent.lines import Records
from penstock.agent.logformats import LOG_FORMATS
from penstock.agent.processing import BadOption, Chain, converters
from penstock.core.ids import Millis

COMMON = b'64.242.88.10 - - [07/Mar/2004:16:10:02 -0800] "GET /mailman/listinfo/hsdivision HTTP/1.1" 200 6291'
COMMON_FIELDS = {
    "host": "64.242.88.10",
    "ident": None,
    "authuser": None,
    "datetime": "07/Mar/2004:16:10:02 -0800",
    "request": "GET /mailman/listinfo/hsdivision HTTP/1.1",
    "response": "200",
    "bytes": "6291",
}


class At:
    """A clock that stands."""

    def now_ms(self) -> Millis:
        return Millis(1_700_000_000_123)

    async def sleep(self, duration_ms: int) -> None:
        raise AssertionError


def convert(data: bytes, *options: dict[str, Any], max_bytes: int = 10_000) -> bytes | None:
    made = Chain(converters(options, At()), max_bytes, b"~\n").apply(Records([data], [1]))
    return made.datas[0] if made.datas else None


def option(name: str, **keys: Any) -> dict[str, Any]:
    return {"optionName": name, **keys}


def log(log_format: str, line: bytes, **keys: Any) -> Any:
    made = convert(line + b"\n", option("LOGTOJSON", logFormat=log_format, **keys))
    if made is None:
        return None
    assert made.endswith(b"}\n")
    return json.loads(made)


def test_common_log_when_it_is_as_documented_then_so_is_the_json() -> None:
    made = convert(COMMON + b"\n", option("LOGTOJSON", logFormat="COMMONAPACHELOG"))
    assert made is not None
    assert list(json.loads(made).items()) == list(COMMON_FIELDS.items()), "in the documented order"
    names = [f"f{number}" for number in range(1, 8)]
    assert log("COMMONAPACHELOG", COMMON, customFieldNames=names) == dict(
        zip(names, COMMON_FIELDS.values(), strict=True)
    )


def test_combined_log_when_it_is_read_then_referrer_and_agent_are_there() -> None:
    line = COMMON + rb' "http://example.com/\"a\"" "Mozilla/5.0 (X11)"'
    made = log("COMBINEDAPACHELOG", line)
    assert made == {**COMMON_FIELDS, "referrer": r"http://example.com/\"a\"", "agent": "Mozilla/5.0 (X11)"}
    assert log("COMBINEDAPACHELOG", COMMON) is None


def test_error_log_when_it_is_read_then_its_fields_are_there() -> None:
    line = b"[Wed Oct 11 14:32:52.123 2000] [core:error] [pid 35708:tid 4328636416] [client 72.15.99.187:80] File does not exist"
    assert log("APACHEERRORLOG", line) == {
        "timestamp": "Wed Oct 11 14:32:52.123 2000",
        "module": "core",
        "severity": "error",
        "processid": "35708",
        "threadid": "4328636416",
        "client": "72.15.99.187:80",
        "message": "File does not exist",
    }
    assert log("APACHEERRORLOG", b"[now] [mpm_prefork:notice] [pid 7] AH00163: resumed")["threadid"] is None


def test_syslog_when_it_is_read_then_its_fields_are_there() -> None:
    fields = {
        "timestamp": "Mar 12 12:00:08",
        "hostname": "server2",
        "program": "rcd",
        "processid": "308",
        "message": "Loaded 12",
    }
    assert log("SYSLOG", b"Mar 12 12:00:08 server2 rcd[308]: Loaded 12") == fields
    assert log("SYSLOG", b"<34>Mar  2 12:00:08.125 server2 kernel: a: b")["processid"] is None
    stamped = b"2017-03-12T12:00:08.123-07:00 server2 rcd[308]: Loaded 12"
    assert log("RFC3339SYSLOG", stamped) == {**fields, "timestamp": "2017-03-12T12:00:08.123-07:00"}
    assert log("SYSLOG", stamped) is None


def test_match_pattern_when_it_is_given_then_it_decides_and_filters() -> None:
    keys = {
        "matchPattern": r"^([\d.]+) - - \[([\w:/]+).*\] \"(\w+).*(\d{3}) \d+",
        "customFieldNames": ["host", "at", "verb", "code"],
    }
    assert log("COMMONAPACHELOG", COMMON, **keys) == {
        "host": "64.242.88.10", "at": "07/Mar/2004:16:10:02", "verb": "GET", "code": "200",
    }  # fmt: skip
    assert log("COMMONAPACHELOG", COMMON + b" more", **keys) is None, "the whole line has to match"


def test_log_formats_when_they_are_compiled_then_each_field_has_a_group() -> None:
    for name in LOG_FORMATS:
        assert converters([option("LOGTOJSON", logFormat=name)], At())


def test_csv_when_it_is_read_then_fields_have_their_names() -> None:
    names = option("CSVTOJSON", customFieldNames=["f1", "f2"])
    assert convert(b"v1, v2\n", names) == b'{"f1":"v1","f2":"v2"}\n'
    assert convert(b"v1\r\n", names) == b'{"f1":"v1","f2":null}\n'
    assert convert(b"1,2,3", names) == b'{"f1":"1","f2":"2"}\n'
    assert convert(b'\xff||"q"\n', {**names, "delimiter": "||"}) == '{"f1":"\ufffd","f2":"\\"q\\""}\n'.encode()
    pretty = convert(b"1,2", {**names, "jsonFormat": "PRETTYPRINT"})
    assert pretty is not None
    assert pretty.count(b"\n") == 4
    assert json.loads(pretty) == {"f1": "1", "f2": "2"}


def test_single_line_when_a_record_has_several_then_they_are_joined() -> None:
    assert convert(b"  one \n\t two\n", option("SINGLELINE")) == b"onetwo\n"


def test_metadata_when_it_is_added_then_the_line_is_data() -> None:
    chosen = option("ADDMETADATA", metadata={"host": "a", "n": {"x": 1}}, timestamp="true")
    expected = b'{"ts":1700000000123,"metadata":{"host":"a","n":{"x":1}},"data":"say \\"hi\\""}\n'
    assert convert(b'say "hi"\n', chosen) == expected
    assert convert(b"x\n", option("ADDMETADATA", metadata={})) == b'{"metadata":{},"data":"x"}\n'


def test_chain_when_options_follow_each_other_then_each_gets_what_the_one_before_made() -> None:
    chain = [
        option("SINGLELINE"),
        option("CSVTOJSON", customFieldNames=["a"]),
        option("ADDMETADATA", metadata={"m": 1}),
    ]
    assert convert(b" x\n y\n", *chain) == b'{"metadata":{"m":1},"data":"{\\"a\\":\\"xy\\"}"}\n'
    assert convert(b'"a":1\n', option("ADDBRACKETS")) == b'{"a":1}\n'


def test_chain_when_a_record_grows_too_long_then_it_is_truncated() -> None:
    assert convert(b"x" * 30 + b"\n", option("ADDMETADATA", metadata={}), max_bytes=20) == b'{"metadata":{},"da~\n'


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ({}, r"\[0\].optionName must be one of SINGLELINE"),
        (option("NOSUCH"), "not 'NOSUCH'"),
        (option("CSVTOJSON"), "customFieldNames is missing"),
        (option("CSVTOJSON", customFieldNames=["a", "a"]), "a name twice"),
        (option("CSVTOJSON", customFieldNames=["a"], delimiter=""), "delimiter"),
        (option("CSVTOJSON", customFieldNames=["a"], jsonFormat="XML"), "jsonFormat"),
        (option("LOGTOJSON"), "logFormat must be one of COMMONAPACHELOG"),
        (option("LOGTOJSON", logFormat="SYSLOG", matchPattern="(a)"), "1 groups, but there are 5 field names"),
        (option("LOGTOJSON", logFormat="SYSLOG", matchPattern="(?=a)"), "look-around"),
        (option("ADDMETADATA"), "metadata must be an object"),
        (option("ADDMETADATA", metadata={}, timestamp="maybe"), "timestamp"),
        (option("ADDEC2METADATA"), "not supported: its values come from EC2"),
        (option("USINGPLUGGIN"), "not supported: plug-ins are Java classes"),
    ],
)
def test_options_when_one_cannot_be_carried_out_then_it_says_why(bad: dict[str, Any], why: str) -> None:
    with pytest.raises(BadOption, match=why):
        converters([bad], At())
