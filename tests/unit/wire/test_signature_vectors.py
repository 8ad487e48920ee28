"""AWS's published cases: each request has the canonical form, the string to sign and the signature that AWS says it has."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from signed_calls import Head, head

from penstock.wire.authorization import read_instant, read_scope
from penstock.wire.canonical import canonical_path, canonical_query, header_part, read_signed_headers
from penstock.wire.signature import Expectation, Secret, Verified, begin, canonical_request, string_to_sign, verify

SAMPLE = json.loads((Path(__file__).parents[2] / "samples" / "signatures" / "aws.json").read_text())
CASES: list[dict[str, Any]] = SAMPLE["cases"]
NORMALISED = [case for case in CASES if not case.get("verbatim_path")]
VERBATIM = [case for case in CASES if case.get("verbatim_path")]
INSTANT = read_instant(SAMPLE["signed_at"])
EXPECTED = Expectation(SAMPLE["service"], frozenset([SAMPLE["region"]]))


def sent(case: dict[str, Any]) -> Head:
    return head(case["method"], case["target"].encode(), [(n.encode(), v.encode()) for n, v in case["headers"]])


def secrets(case: dict[str, Any]) -> dict[str, Secret]:
    return {SAMPLE["access_key_id"]: Secret(SAMPLE["secret_key"], case.get("token"))}


def test_the_sample_holds_both_forms_of_all_cases() -> None:
    assert (len(NORMALISED), len(VERBATIM)) == (2 * 31, 2 * 7)


@pytest.mark.parametrize("case", NORMALISED, ids=lambda case: case["name"])
def test_verify_when_the_request_is_one_of_awss_finds_its_canonical_form_and_its_signature(
    case: dict[str, Any],
) -> None:
    body = case["body"].encode()
    pending = begin(sent(case), INSTANT.at_s * 1000, EXPECTED, secrets(case).get)
    assert pending.claim.signature == case["signature"]
    unsigned = {"X-Amz-Signature", *(["X-Amz-Security-Token"] if "sts-header-after" in case["name"] else [])}
    without = frozenset(unsigned if pending.claim.presigned else ())
    canonical = canonical_request(pending, sha256(body).hexdigest(), without)
    assert canonical is not None
    assert canonical.decode() == case["canonical"]
    assert string_to_sign(pending.instant, pending.scope, canonical) == case["string_to_sign"]
    verified = verify(sent(case), body, INSTANT.at_s * 1000, EXPECTED, secrets(case).get)
    assert isinstance(verified, Verified)
    assert verified.access_key_id == SAMPLE["access_key_id"]


@pytest.mark.parametrize("case", VERBATIM, ids=lambda case: case["name"])
def test_canonical_parts_when_paths_are_verbatim_are_awss(case: dict[str, Any]) -> None:
    request = sent(case)
    path, _, query = request.target.partition(b"?")
    signed = read_signed_headers(case["canonical"].split("\n")[-2])
    canonical = b"\n".join(
        (
            request.method.encode(),
            canonical_path(path, verbatim=True),
            canonical_query(query, {"X-Amz-Signature"}),
            (header_part(signed, request.raw_headers) or b"") + sha256(b"").hexdigest().encode(),
        )
    )
    assert canonical.decode() == case["canonical"]
    scope = read_scope(f"{SAMPLE['access_key_id']}/20150830/us-east-1/service/aws4_request")
    assert string_to_sign(INSTANT, scope, canonical) == case["string_to_sign"]
