"""Signature Version 4, as far as it is read without verifying: whose credentials a request names, and for which region.

Theory.  Credentials come in the Authorization header or in the query string (presigned), never in both.  Their scope,
`<key id>/<date>/<region>/<service>/aws4_request`, also tells the region, which no other part of a request does.
Rules of this file: pure; refusals and their order are AWS's (source: recorded answers).
"""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from penstock.core.errors import Error

_HEADER_PARTS: Final = ("Credential", "Signature", "SignedHeaders")
_QUERY_PARTS: Final = ("X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature", "X-Amz-SignedHeaders", "X-Amz-Date")
_REGION = re.compile(r"[a-z0-9-]{1,64}", re.ASCII)
_KEY_ID = re.compile(r"[!-~]{1,128}", re.ASCII)  # AWS's are letters and digits; stand-ins may have hyphens and dots


class Credential(NamedTuple):
    """The scope that a request was signed for."""

    access_key_id: str
    date: str  # YYYYMMDD
    region: str
    service: str


def read_credential(headers: Mapping[str, str], query: Mapping[str, str]) -> Credential:
    """The credential that a request names; `headers` by lower-case name.

    Raises AUTH_MISSING, AUTH_TWICE or AUTH_INCOMPLETE.
    """
    authorization = headers.get("authorization")
    if "X-Amz-Algorithm" in query:
        if authorization:
            raise Error.AUTH_TWICE()
        return _scope(_from_query(query))
    if not authorization:
        raise Error.AUTH_MISSING()
    return _scope(_from_header(authorization, headers))


def _from_header(authorization: str, headers: Mapping[str, str]) -> str:
    parts = dict(part.split("=", 1) for part in re.split(r"[, ]+", authorization)[1:] if "=" in part)
    complaints = [f"Authorization header requires '{name}' parameter." for name in _HEADER_PARTS if not parts.get(name)]
    if not headers.get("x-amz-date") and not headers.get("date"):
        complaints.append("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
    if complaints:
        raise Error.AUTH_INCOMPLETE(text=" ".join([*complaints, f"Authorization={authorization}"]))
    return parts["Credential"]


def _from_query(query: Mapping[str, str]) -> str:
    complaints = [f"AWS query-string parameters must include '{name}'." for name in _QUERY_PARTS if not query.get(name)]
    if complaints:
        raise Error.AUTH_INCOMPLETE(text=" ".join([*complaints, "Re-examine the query-string parameters."]))
    return query["X-Amz-Credential"]


def _scope(credential: str) -> Credential:
    parts = credential.split("/")
    if len(parts) != 5:
        raise Error.AUTH_INCOMPLETE(
            text=f"Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '{credential}'"
        )
    key_id, date, region, service, term = parts
    if not _KEY_ID.fullmatch(key_id) or not _REGION.fullmatch(region) or term != "aws4_request":
        raise Error.AUTH_INCOMPLETE(
            text=f"Credential should be scoped to a valid region and end with 'aws4_request', got '{credential}'"
        )
    return Credential(key_id, date, region, service)
