"""A real function that takes the records of a stream, and tells a test which."""

import io
import json
import queue
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

ROLE = "arn:aws:iam::123456789012:role/work"
WAIT_S = 60

SOURCE = """
import base64, json, os, urllib.request

def handler(event, context):
    taken = []
    for record in event["Records"]:
        data = base64.b64decode(record["kinesis"]["data"]).decode()
        if data == "poison":
            raise ValueError("poisoned")
        taken.append({"id": record["eventID"], "key": record["kinesis"]["partitionKey"], "data": data})
    urllib.request.urlopen(os.environ["TAKEN"], json.dumps(taken).encode())
"""


class Taken:
    """Where the function tells what it has taken."""

    def __init__(self) -> None:
        told: queue.Queue[list[dict[str, str]]] = queue.Queue()

        class Told(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                told.put(json.loads(self.rfile.read(int(self.headers["content-length"]))))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.told = told
        self.server = HTTPServer(("127.0.0.1", 0), Told)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def records(self, count: int) -> list[dict[str, str]]:
        """The next records, so many of them."""
        found: list[dict[str, str]] = []
        while len(found) < count:
            found += self.told.get(timeout=WAIT_S)
        return found


def zipped(source: str) -> bytes:
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        archive.writestr("app.py", source)
    return body.getvalue()


def make_function(functions: Any, taken: Taken) -> None:
    """The function `work`, ready."""
    functions.create_function(
        FunctionName="work", Runtime="python3.12", Role=ROLE, Handler="app.handler", Code={"ZipFile": zipped(SOURCE)},
        Environment={"Variables": {"TAKEN": taken.url}}, Timeout=30,
    )  # fmt: skip
    functions.get_waiter("function_active_v2").wait(FunctionName="work")
