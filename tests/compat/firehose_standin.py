"""A stand-in for Firehose, which Penstock does not have yet: PutRecordBatch alone, each request held against botocore's model.

The only double in the agent's tests.  It refuses what the model refuses, what AWS documents as limits, and what is not signed.
"""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import botocore.session
from botocore.validate import ParamValidator

RECORDS_MAX = 500
BATCH_MAX_BYTES = 4 << 20
RECORD_MAX_BYTES = 1000 << 10


class Firehose:
    """What it has taken, and what it is to refuse."""

    def __init__(self) -> None:
        self.requests: list[list[bytes]] = []
        self.refuse_each = 0  # every n-th record is refused once
        self.problems: list[str] = []
        self._seen = 0
        self._lock = threading.Lock()
        self._shape = (
            botocore.session.get_session().get_service_model("firehose").operation_model("PutRecordBatch").input_shape
        )

    @property
    def records(self) -> list[bytes]:
        return [record for request in self.requests for record in request]

    def answer(self, headers: Any, body: bytes) -> tuple[int, dict[str, Any]]:
        with self._lock:
            try:
                records = self._check(headers, body)
            except (AssertionError, ValueError) as error:
                self.problems.append(str(error))
                return 400, {"__type": "ValidationException", "message": str(error)}
            taken: list[bytes] = []
            told: list[dict[str, str]] = []
            for record in records:
                self._seen += 1
                if self.refuse_each and self._seen % self.refuse_each == 0:
                    told.append({"ErrorCode": "ServiceUnavailableException", "ErrorMessage": "Slow down."})
                else:
                    taken.append(record)
                    told.append({"RecordId": f"id{self._seen}"})
            self.requests.append(taken)
            return 200, {"FailedPutCount": len(records) - len(taken), "Encrypted": False, "RequestResponses": told}

    def _check(self, headers: Any, body: bytes) -> list[bytes]:
        assert headers["X-Amz-Target"] == "Firehose_20150804.PutRecordBatch"
        assert headers["Content-Type"] == "application/x-amz-json-1.1"
        assert "/firehose/aws4_request" in headers["Authorization"]
        document = json.loads(body)
        records = [base64.b64decode(record["Data"], validate=True) for record in document["Records"]]
        assert self._shape is not None
        read = {
            **document,
            "Records": [{**entry, "Data": data} for entry, data in zip(document["Records"], records, strict=True)],
        }
        report = ParamValidator().validate(read, self._shape)
        assert not report.has_errors(), report.generate_report()
        assert 1 <= len(records) <= RECORDS_MAX
        assert sum(map(len, records)) <= BATCH_MAX_BYTES
        assert all(0 < len(record) <= RECORD_MAX_BYTES for record in records)
        return records


@contextmanager
def firehose() -> "Iterator[tuple[Firehose, str]]":
    """One that listens, and its URL."""
    standin = Firehose()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            status, document = standin.answer(self.headers, self.rfile.read(int(self.headers["Content-Length"])))
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield standin, f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
