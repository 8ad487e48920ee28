"""Which group or stream an input is about, for authorisation.

Actions are judged on `...:log-group:<group>:log-stream:<stream>`, with nothing behind the last colon where no stream is named, and the
group's name left out where all are meant.  Source: the refusals that users report.
"""

from typing import Any

from penstock.core.context import Caller
from penstock.core.errors import ServiceError
from penstock.services.logs.service import name_of
from penstock.services.logs.state import group_arn
from penstock.services.targets import Target


def stream(caller: Caller, request: Any) -> Target:
    """The group or stream that an input names, whether it exists or not."""
    account, arn = _group(caller, request)
    return Target(f"{arn}:log-stream:{getattr(request, 'log_stream_name', '')}", account)


def group(caller: Caller, request: Any) -> Target:
    """The group whose tags an input is about."""
    account, arn = _group(caller, request)
    return Target(arn, account)


def _group(caller: Caller, request: Any) -> tuple[str, str]:
    identifier = getattr(request, "resource_arn", None) or getattr(request, "log_group_identifier", None)
    name = None if identifier else getattr(request, "log_group_name", "")
    try:
        account, region, found = name_of(caller, name, identifier)
    except ServiceError:  # it will be refused for what it is
        account, region, found = caller.account, caller.region, ""
    return account, group_arn(region, account, found)
