"""Requests that the benchmarks sign themselves."""

import time

from bench.payload import CBOR, JSON, Wire
from bench.signing import Signer
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

KEY = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
MOMENT = time.strptime("20260102T030405Z", "%Y%m%dT%H%M%SZ")


def botocore_authorization(wire: Wire, body: bytes) -> str:
    request = AWSRequest("POST", "http://127.0.0.1:4566/", data=body)
    request.headers["Content-Type"] = wire.content_type
    request.headers["X-Amz-Target"] = "Kinesis_20131202.PutRecord"
    request.headers["X-Amz-Date"] = "20260102T030405Z"
    request.context["timestamp"] = "20260102T030405Z"
    judge = SigV4Auth(KEY, "kinesis", "us-east-1")
    text = judge.string_to_sign(request, judge.canonical_request(request))
    signed = judge.signed_headers(judge.headers_to_sign(request))
    return f"AWS4-HMAC-SHA256 Credential={judge.scope(request)}, SignedHeaders={signed}, Signature={judge.signature(text, request)}"


def test_signer_when_any_wire_then_signs_as_botocore_does() -> None:
    for wire in (JSON, CBOR):
        body = wire.body({"StreamName": "s", "Data": b"\x00\xff", "PartitionKey": "k"})
        ours = Signer(KEY, MOMENT).headers("127.0.0.1:4566", "PutRecord", body, wire)
        assert ours["Authorization"] == botocore_authorization(wire, body)
