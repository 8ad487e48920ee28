"""Who calls: what an operation knows of its request besides its input."""

from typing import NamedTuple

from penstock.core.ids import AccountId, Region


class Caller(NamedTuple):
    """The identity and the place of one request."""

    account: AccountId
    region: Region  # from the credential scope
    access_key_id: str
    operation: str  # "kinesis:PutRecords", the IAM action
    session_token: str | None = None  # as it came; of temporary credentials
    principal: str | None = None  # the ARN of who has proved to be; None with `--auth open`
    source_ip: str | None = None
    secure: bool = False  # over TLS
    user_agent: str | None = None
    host: str | None = None  # of this server, as it was asked
    request_id: str = ""  # as the answer tells it

    @property
    def arn(self) -> str:
        """The principal.  With `--auth open` every access key is its account's root."""
        return self.principal or f"arn:aws:iam::{self.account}:root"
