"""The server's own AWS credentials, from its environment, for requests that it signs itself."""

import os

from penstock.wire.signing import AwsCredentials


def environment_credentials() -> AwsCredentials | None:
    """What AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN say; None where they say nothing."""
    key_id, secret = os.environ.get("AWS_ACCESS_KEY_ID", ""), os.environ.get("AWS_SECRET_ACCESS_KEY", "")
    if not key_id or not secret:
        return None
    return AwsCredentials(key_id, secret, os.environ.get("AWS_SESSION_TOKEN", ""))
