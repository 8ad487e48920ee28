"""Signed calls to AWS-like services, with as little of botocore as that takes.

Theory.  A client of botocore's costs 11 MB and takes 3.5 ms of processor time for a request of 500 records, to write it and to read its
answer; its credentials, signatures and HTTP sessions are small and thorough.  So an agent's requests are written by hand (requests.py),
and signed and sent by botocore's parts.
Rules of this file:
  1. One try a call: repeating is the sender's business.
  2. Calls block; they are made on the threads of a pool.
"""

import re
from collections.abc import Mapping
from importlib.metadata import version
from threading import Lock
from typing import Any, Final, NamedTuple, cast

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.httpsession import URLLib3Session
from botocore.session import Session
from botocore.utils import get_environ_proxies

from penstock.agent.settings import GlobalSettings
from penstock.clients.aws import Connection, Role, make_session
from penstock.clients.calls import CALL_ERRORS, error_text

REGION_DEFAULT: Final = "us-east-1"
HOSTS: Final = {"cloudwatch": "monitoring"}  # services whose host has another name
SESSION_NAME: Final = "penstock-agent"
TEXT_MAX_CHARS: Final = 300
_REGION_IN_HOST: Final = re.compile(r"//[a-z-]+\.([a-z]{2}(?:-[a-z]+)+-\d)\.amazonaws\.com")
_AMAZON: Final = re.compile(r"\.(?:amazonaws\.com(?:\.cn)?|api\.aws)(?:[:/]|$)")


class CallFailed(Exception):
    """A call without an answer; the text says why."""


class Answer(NamedTuple):
    """What came back."""

    status: int
    body: bytes


class Account:
    """Whose credentials calls are signed with, and which servers they go to."""

    def __init__(self, settings: GlobalSettings, environment: Mapping[str, str]) -> None:
        self._settings = settings
        self._environment = environment
        configured = settings.kinesis_region or self._region_of_endpoints() or environment.get("AWS_REGION", "")
        self.region = str(configured or Session().get_config_variable("region") or REGION_DEFAULT)
        role = None
        if settings.role_arn:
            role = Role(
                arn=settings.role_arn,
                external_id=settings.role_external_id or None,
                session_name=SESSION_NAME,
                sts_endpoint=settings.sts_endpoint or None,
            )
        self._session = make_session(
            Connection(
                region=self.region,
                access_key_id=settings.access_key_id or None,
                secret_access_key=settings.secret_access_key or None,
                role=role,
            )
        )
        self.verify: Any = self._session.get_config_variable("ca_bundle") or True
        self._found: Any = None
        self._finding = Lock()

    def endpoint(self, service: str) -> str:
        """The URL of a service: what is configured, else what the environment names for every SDK, else AWS's."""
        configured = {
            "kinesis": self._settings.kinesis_endpoint,
            "firehose": self._settings.firehose_endpoint,
            "cloudwatch": self._settings.cloudwatch_endpoint,
        }[service]
        for name in (f"AWS_ENDPOINT_URL_{service.upper()}", "AWS_ENDPOINT_URL"):
            configured = configured or self._environment.get(name, "")
        suffix = "amazonaws.com.cn" if self.region.startswith("cn-") else "amazonaws.com"
        return configured or f"https://{HOSTS.get(service, service)}.{self.region}.{suffix}"

    def credentials(self, endpoint: str) -> Any:
        """The credentials of now.  Blocks.  Raises CallFailed, and CALL_ERRORS."""
        with self._finding:
            if self._found is None:
                self._found = self._session.get_credentials()
            if self._found is None and not _AMAZON.search(endpoint):
                self._found = Credentials("test", "test")  # for a server of one's own that asks for no proof
        if self._found is None:
            raise CallFailed(
                "there are no credentials: set awsAccessKeyId and awsSecretAccessKey, or what AWS's SDKs read"
            )
        return self._found.get_frozen_credentials()

    def _region_of_endpoints(self) -> str:
        settings = self._settings
        found = _REGION_IN_HOST.search(settings.kinesis_endpoint) or _REGION_IN_HOST.search(settings.firehose_endpoint)
        return found[1] if found else ""


class Caller:
    """One service at one endpoint."""

    def __init__(self, account: Account, service: str, settings: GlobalSettings, connections: int) -> None:
        self._account = account
        self._service = HOSTS.get(service, service)
        self._endpoint = account.endpoint(service)
        self._url = self._endpoint.rstrip("/") + "/"
        name = f"penstock-agent/{version('penstock')} {settings.user_agent}"
        self._user_agent = settings.user_agent_whole or name.strip()
        seconds = (settings.connect_timeout_ms / 1000, settings.read_timeout_ms / 1000)
        self._http = URLLib3Session(
            verify=account.verify,
            timeout=cast("int", seconds),  # the stubs lack pairs
            max_pool_connections=connections,
            proxies=get_environ_proxies(self._endpoint),
        )

    def post(self, target: str, body: bytes, content_type: str = "application/x-amz-json-1.1") -> Answer:
        """Make one signed call.  Blocks.  Raises CallFailed."""
        headers = {"Content-Type": content_type, "User-Agent": self._user_agent, "X-Amz-Target": target}
        try:
            request = AWSRequest("POST", self._url, headers=headers, data=body)
            SigV4Auth(self._account.credentials(self._endpoint), self._service, self._account.region).add_auth(request)
            answer = self._http.send(request.prepare())
            return Answer(answer.status_code, answer.content)
        except (*CALL_ERRORS, OSError, ValueError) as error:  # ValueError: what is configured is no URL
            raise CallFailed(" ".join(error_text(error).split())[:TEXT_MAX_CHARS]) from None

    def close(self) -> None:
        """Close the connections that are idle."""
        self._http.close()
