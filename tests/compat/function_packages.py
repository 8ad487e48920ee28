"""What the tests of functions make: packages, and functions of them."""

import io
import zipfile
from typing import Any

from botocore.config import Config

ARN = "arn:aws:lambda:us-east-1:123456789012:function:f"
ROLE = "arn:aws:iam::123456789012:role/r"
QUIET = Config(retries={"total_max_attempts": 1}, parameter_validation=False)


def package(text: str = "def handler(event, context): return event", name: str = "app.py") -> bytes:
    """A zip of one file."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as written:
        written.writestr(zipfile.ZipInfo(name), text)  # without the time of day
    return made.getvalue()


def made(client: Any, name: str = "f", **others: Any) -> dict[str, Any]:
    """A function of that package."""
    arguments = {"Runtime": "python3.12", "Role": ROLE, "Handler": "app.handler", "Code": {"ZipFile": package()}}
    answer: dict[str, Any] = client.create_function(FunctionName=name, **{**arguments, **others})
    return answer
