"""Environments: which program runs a function, and the variables that it finds.

Rules of this file: values in, values out.  Nothing of the server's own environment is passed on; what Lambda sets itself a function's
configuration cannot.
Source: developer guide, "Using Lambda environment variables", "Custom runtimes".
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from penstock.core.invoke_errors import InvokeError
from penstock.host.workplace import Machine
from penstock.services.functions.invoking import FunctionVersion

PATH: Final = "/usr/local/bin:/usr/bin:/bin:/opt/bin"
LIBRARIES: Final = "/lib64:/usr/lib64:/lib:/usr/lib"  # the task's own folders come behind


class Credentials(NamedTuple):
    """What a function signs its calls with."""

    access_key_id: str
    secret: str
    token: str | None = None
    until_ms: int | None = None  # they are of no use from then on

    def __repr__(self) -> str:
        return f"Credentials({self.access_key_id})"


class Place(NamedTuple):
    """Where a function finds things, seen from inside."""

    task_root: str
    temporary: str
    runtime_api: str  # host:port
    endpoint: str  # of this server
    log_stream: str


def command(version: FunctionVersion, machine: Machine, task_root: str) -> list[str]:
    """The command that runs a function.  Raises RUNTIME for what cannot be run here."""
    runtime = version.runtime
    if runtime.startswith("python3."):
        if not machine.has_python_client:
            raise InvokeError.RUNTIME(
                runtime=runtime, why="its runtime client is missing: pip install 'penstock[functions]'"
            )
        return [machine.python, "-m", "awslambdaric", version.handler]
    if runtime.startswith("nodejs"):
        if machine.node is None:
            raise InvokeError.RUNTIME(runtime=runtime, why="there is no node on the server's PATH")
        if machine.node_client is None:
            raise InvokeError.RUNTIME(
                runtime=runtime, why="its runtime client is missing: npm install --global aws-lambda-ric"
            )
        return [machine.node, machine.node_client, version.handler]
    if runtime.startswith("provided"):
        return [f"{task_root}/bootstrap"]
    raise InvokeError.RUNTIME(
        runtime=runtime,
        why="python3.x, nodejs and provided can; other languages as provided, with their runtime client",
    )


def variables(version: FunctionVersion, place: Place, credentials: Credentials) -> dict[str, str]:
    """All environment variables of its process."""
    group = version.log_group or f"/aws/lambda/{version.name}"
    own = {
        "_HANDLER": version.handler,
        "AWS_LAMBDA_RUNTIME_API": place.runtime_api,
        "AWS_LAMBDA_FUNCTION_NAME": version.name,
        "AWS_LAMBDA_FUNCTION_VERSION": version.version,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(version.memory_mb),
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": group,
        "AWS_LAMBDA_LOG_STREAM_NAME": place.log_stream,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{version.runtime}",
        "AWS_REGION": version.region,
        "AWS_DEFAULT_REGION": version.region,
        "AWS_ACCESS_KEY_ID": credentials.access_key_id,
        "AWS_SECRET_ACCESS_KEY": credentials.secret,
        "LAMBDA_TASK_ROOT": place.task_root,
        "LAMBDA_RUNTIME_DIR": "/var/runtime",
    }
    if credentials.token is not None:
        own["AWS_SESSION_TOKEN"] = credentials.token
    return {**_defaults(place), **_sound(version.environment), **own}


def _defaults(place: Place) -> dict[str, str]:
    """What a configuration may set otherwise."""
    root = place.task_root
    return {
        "PATH": PATH,
        "LD_LIBRARY_PATH": f"{LIBRARIES}:{root}:{root}/lib:/opt/lib",
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "HOME": place.temporary,
        "TMPDIR": place.temporary,
        "AWS_ENDPOINT_URL": place.endpoint,
        "AWS_EC2_METADATA_DISABLED": "true",
        "PYTHONDONTWRITEBYTECODE": "1",  # the code cannot be written to
    }


def _sound(given: Mapping[str, str]) -> dict[str, str]:
    """What of a configuration's variables a process can be given."""
    return {name: value for name, value in given.items() if name and "=" not in name and "\0" not in name + value}
