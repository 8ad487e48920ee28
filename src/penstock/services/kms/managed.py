"""AWS managed keys: which services have one, and the policies that keys begin with."""

from collections.abc import Mapping
from typing import Final

import msgspec

from penstock.services.kms.state import Place

# By what follows "alias/aws/".  Source of the text: DescribeKey on AWS.
MANAGED: Final[Mapping[str, str]] = {
    "kinesis": "Default master key that protects my Kinesis data when no other key is defined",
    "kinesisvideo": "Default key that protects my Kinesis Video data when no other key is defined",
}


def default_policy(place: Place) -> str:
    """The policy of a key that was made without one: the account's own policies decide."""
    return _text(
        "key-default-1",
        {
            "Sid": "Enable IAM User Permissions",
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{place.account}:root"},
            "Action": "kms:*",
            "Resource": "*",
        },
    )


def managed_policy(place: Place, service: str) -> str:
    """The policy of an AWS managed key: everybody in the account may use it through its service, and only so."""
    through = {
        "StringEquals": {
            "kms:CallerAccount": place.account,
            "kms:ViaService": f"{service}.{place.region}.amazonaws.com",
        }
    }
    usage = (
        "kms:Encrypt",
        "kms:Decrypt",
        "kms:ReEncrypt*",
        "kms:GenerateDataKey*",
        "kms:CreateGrant",
        "kms:DescribeKey",
    )
    reading = ("kms:Describe*", "kms:Get*", "kms:List*", "kms:RevokeGrant")
    return _text(
        f"auto-{service}-1",
        {
            "Sid": "Allow access through the service for all principals in the account that are authorized to use it",
            "Effect": "Allow",
            "Principal": {"AWS": "*"},
            "Action": usage,
            "Resource": "*",
            "Condition": through,
        },
        {
            "Sid": "Allow direct access to key metadata to the account",
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{place.account}:root"},
            "Action": reading,
            "Resource": "*",
        },
    )


def _text(name: str, *statements: object) -> str:
    document = {"Version": "2012-10-17", "Id": name, "Statement": statements}
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode()
