"""What a verified signature costs: `python -m bench.signature`.

A PutRecord of 100 bytes, signed by botocore and sent with the headers that boto3 sends, is verified again and again; 256 different ones
take turns, so that no two signatures in a row are the same.
"""

import json
import time
from typing import NamedTuple

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from penstock.wire import sigv4
from penstock.wire.signature import Expectation, Secret, verify

ROUNDS = 5
CALLS = 20_000
BUDGET_US = 15.0
SECRETS = {"AKIDEXAMPLE": Secret("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")}
EXPECTED = Expectation("kinesis")


class Head(NamedTuple):
    """A request's head."""

    method: str
    target: bytes
    query: dict[str, str]
    headers: dict[str, str]
    raw_headers: tuple[tuple[bytes, bytes], ...]


def signed_call(number: int) -> tuple[Head, bytes]:
    """A PutRecord as boto3 sends it."""
    body = json.dumps({"StreamName": "s", "Data": "x" * 100, "PartitionKey": str(number)}).encode()
    request = AWSRequest("POST", "http://127.0.0.1:4566/", data=body)
    request.headers["X-Amz-Target"] = "Kinesis_20131202.PutRecord"
    request.headers["Content-Type"] = "application/x-amz-json-1.1"
    request.headers["User-Agent"] = (
        "Boto3/1.44.5 md/Botocore#1.44.5 ua/2.1 os/linux#6.1 md/arch#x86_64 lang/python#3.11.7"
    )
    request.headers["amz-sdk-invocation-id"] = "4c2b2d19-6d43-4d2b-9c4f-1f1f6e9f7b0e"
    request.headers["amz-sdk-request"] = "attempt=1"
    SigV4Auth(Credentials("AKIDEXAMPLE", SECRETS["AKIDEXAMPLE"].secret_key), "kinesis", "us-east-1").add_auth(request)
    pairs = [("Host", "127.0.0.1:4566"), ("Accept-Encoding", "identity"), *request.headers.items()]
    pairs.append(("Content-Length", str(len(body))))
    raw = tuple((name.lower().encode(), value.encode()) for name, value in pairs)
    return Head("POST", b"/", {}, {name.decode(): value.decode() for name, value in raw}, raw), body


def main() -> None:
    """Measure and print."""
    calls = [signed_call(number) for number in range(256)]
    now_ms = time.time_ns() // 1_000_000
    best = opened = float("inf")
    for _ in range(ROUNDS):
        started = time.process_time()
        for at in range(CALLS):
            head, body = calls[at % 256]
            verify(head, body, now_ms, EXPECTED, SECRETS.get)
        best = min(best, (time.process_time() - started) / CALLS * 1e6)
        started = time.process_time()
        for at in range(CALLS):
            head, _ = calls[at % 256]
            sigv4.read_credential(head.headers, head.query)
        opened = min(opened, (time.process_time() - started) / CALLS * 1e6)
    print(f"verified {best:.1f} us, open {opened:.1f} us; {best - opened:.1f} us more, of at most {BUDGET_US:.0f}")


if __name__ == "__main__":
    main()
