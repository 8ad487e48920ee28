"""Signed calls to AWS-like services, with as little of botocore as that takes.

Theory.  A client of botocore's costs 10 MB and serialises slowly; its credentials, signatures and HTTP sessions are small and thorough.
So requests are written by hand (requests.py) and signed and sent by botocore's parts.
Rules of this file:
  1. One try a call: repeating is the sender's business.
  2. Calls block; they are made on the threads of a pool that grows with need.
"""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Final, cast

import botocore.session
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import (
    AssumeRoleCredentialFetcher,
    Credentials,
    DeferredRefreshableCredentials,
    ReadOnlyCredentials,
)
from botocore.exceptions import BotoCoreError, HTTPClientError
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies

from penstock.agent.settings import GlobalSettings

REGION_DEFAULT: Final = "us-east-1"
ROLE_SECONDS: Final = 3600
SESSION_NAME: Final = "penstock-agent"
_REGION_IN_HOST: Final = re.compile(r"//(?:[a-z-]+)\.([a-z]{2}(?:-[a-z]+)+-\d)\.amazonaws\.com")
_AMAZON: Final = re.compile(r"\.(?:amazonaws\.com(?:\.cn)?|api\.aws)(?:[:/]|$)")


class CallFailed(Exception):
    """A call without an answer; the text says why."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    body: bytes


class Account:
    """Whose credentials calls are signed with, and for which region."""

    def __init__(self, settings: GlobalSettings, environment: Mapping[str, str]) -> None:
        self._settings = settings
        self._environment = environment
        self._session = botocore.session.Session()
        self._found: Any = None

    def endpoint(self, service: str, configured: str) -> str:
        """The URL of a service: what is configured, else what the environment names for every SDK, else AWS's."""
        for name in (f"AWS_ENDPOINT_URL_{service.upper()}", "AWS_ENDPOINT_URL"):
            configured = configured or self._environment.get(name, "")
        region = self.region(configured)
        suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
        return configured or f"https://{service}.{region}.{suffix}"

    def region(self, endpoint: str) -> str:
        """The region to sign for: kinesis.region, else the endpoint's, else the environment's or the profile's."""
        found = _REGION_IN_HOST.search(endpoint)
        return (
            self._settings.kinesis_region
            or (found[1] if found else "")
            or self._environment.get("AWS_REGION", "")
            or self._session.get_config_variable("region")
            or REGION_DEFAULT
        )

    def credentials(self, endpoint: str) -> ReadOnlyCredentials:
        """The credentials of now; refreshed when they must be.  Blocks.  Raises BotoCoreError, CallFailed."""
        if self._found is None:
            self._found = self._find(endpoint)
        frozen: ReadOnlyCredentials = self._found.get_frozen_credentials()
        return frozen

    @property
    def verify(self) -> Any:
        """The certificates to trust, as the SDKs are told."""
        return self._session.get_config_variable("ca_bundle") or True

    def _find(self, endpoint: str) -> Any:
        settings = self._settings
        found: Any
        if settings.access_key_id:
            found = Credentials(settings.access_key_id, settings.secret_access_key)
        else:
            found = self._session.get_credentials()
        if found is None and not _AMAZON.search(endpoint):
            found = Credentials("test", "test")  # a server of one's own that asks for no proof
        if found is None:
            raise CallFailed("no credentials: set awsAccessKeyId and awsSecretAccessKey, or what AWS's SDKs read")
        return self._assume(found) if settings.role_arn else found

    def _assume(self, source: Any) -> Any:
        extra = {"RoleSessionName": SESSION_NAME, "DurationSeconds": ROLE_SECONDS}
        if self._settings.role_external_id:
            extra["ExternalId"] = self._settings.role_external_id
        fetcher = AssumeRoleCredentialFetcher(self._sts, source, self._settings.role_arn, extra_args=extra)
        return DeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role")

    def _sts(self, service: str, **keys: Any) -> Any:
        endpoint = self.endpoint("sts", self._settings.sts_endpoint)
        options: dict[str, Any] = {"region_name": self.region(endpoint), **keys}
        return self._session.create_client(
            service, endpoint_url=endpoint, config=Config(connect_timeout=5, read_timeout=20), **options
        )


class Caller:
    """One service at one endpoint."""

    def __init__(
        self, account: Account, service: str, endpoint: str, settings: GlobalSettings, connections: int
    ) -> None:
        self._account = account
        self._service = service
        self._endpoint = endpoint
        self._region = account.region(endpoint)
        agent = f"penstock-agent/{version('penstock')}"
        self._user_agent = settings.user_agent_whole or f"{agent} {settings.user_agent}".strip()
        self._http = URLLib3Session(
            verify=account.verify,
            timeout=cast(
                "int", (settings.connect_timeout_ms / 1000, settings.read_timeout_ms / 1000)
            ),  # the stubs lack pairs
            max_pool_connections=connections,
            proxies=get_environ_proxies(endpoint),
        )

    def post(self, target: str, body: bytes, content_type: str = "application/x-amz-json-1.1") -> Answer:
        """Make one signed call.  Blocks.  Raises CallFailed."""
        headers = {"Content-Type": content_type, "User-Agent": self._user_agent}
        if target:
            headers["X-Amz-Target"] = target
        try:
            request = AWSRequest("POST", self._endpoint.rstrip("/") + "/", headers=headers, data=body)
            credentials = self._account.credentials(self._endpoint)
            SigV4Auth(credentials, self._service, self._region).add_auth(request)
            answer = self._http.send(request.prepare())
        except (BotoCoreError, HTTPClientError) as error:
            raise CallFailed(" ".join(str(error).split())[:300]) from None
        return Answer(answer.status_code, answer.content)

    def close(self) -> None:
        """Close the connections that are idle."""
        self._http.close()


Poster = Callable[[str, bytes], Answer]


def system_account(settings: GlobalSettings) -> Account:
    """The account that this process's environment and a configuration name."""
    return Account(settings, os.environ)
