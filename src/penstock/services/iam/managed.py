"""AWS's own managed policies, as many of them as concern what Penstock serves, and its task policies for AssumeRoot.

They exist in every account, can be attached and cannot be changed.
"""

import json
from typing import Final

from penstock.core.ids import AccountId, Millis
from penstock.services.iam.records import AWS_ACCOUNT, ManagedPolicy, PolicyVersion

_SINCE_MS: Final = Millis(1_423_162_800_000)  # 2015-02-05T19:00:00Z; UNVERIFIED: AWS's own dates differ
TASK_CREDENTIALS: Final = "PenstockCredentials"  # ours: what `penstock credentials` may do in another account


def _allow(**statement: object) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})


_POWER_USER: Final = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "NotAction": ["iam:*", "organizations:*", "account:*"], "Resource": "*"},
        {
            "Effect": "Allow",
            "Action": [
                *("account:GetAccountInformation", "account:GetGovCloudAccountInformation", "account:GetPrimaryEmail"),
                *("account:ListRegions", "iam:CreateServiceLinkedRole", "iam:DeleteServiceLinkedRole", "iam:ListRoles"),
                *("organizations:DescribeEffectivePolicy", "organizations:DescribeOrganization"),
            ],
            "Resource": "*",
        },
    ],
}
_DOCUMENTS: Final = {
    "AdministratorAccess": _allow(Action="*", Resource="*"),
    "AmazonKinesisFullAccess": _allow(Action="kinesis:*", Resource="*"),
    "AmazonKinesisReadOnlyAccess": _allow(Action=["kinesis:Get*", "kinesis:List*", "kinesis:Describe*"], Resource="*"),
    "IAMFullAccess": _allow(Action=["iam:*"], Resource="*"),
    "IAMReadOnlyAccess": _allow(Action=["iam:Get*", "iam:List*"], Resource="*"),
    "PowerUserAccess": json.dumps(_POWER_USER),
}
_TASKS: Final = {
    TASK_CREDENTIALS: _allow(
        Action=[
            *("iam:CreateUser", "iam:GetUser", "iam:ListUsers", "iam:PutUserPolicy", "iam:AttachUserPolicy"),
            *("iam:CreateAccessKey", "iam:UpdateAccessKey", "iam:DeleteAccessKey", "iam:ListAccessKeys"),
            "iam:GetAccessKeyLastUsed",
        ],
        Resource="*",
    )
}


def _policy(name: str, path: str, document: str, number: int) -> ManagedPolicy:
    return ManagedPolicy(
        account=AccountId(AWS_ACCOUNT),
        created_ms=_SINCE_MS,
        updated_ms=_SINCE_MS,
        name=name,
        path=path,
        uid=f"ANPAPENSTOCKAWSOWN{number:03d}",
        versions=(PolicyVersion(1, document, _SINCE_MS),),
        description=f"AWS's own policy {name}.",
    )


def _by_arn() -> dict[str, ManagedPolicy]:
    rows = [(name, "/", document) for name, document in _DOCUMENTS.items()]
    rows += [(name, "/root-task/", document) for name, document in _TASKS.items()]
    made = [_policy(name, path, document, number) for number, (name, path, document) in enumerate(rows, 1)]
    return {policy.arn: policy for policy in made}


AWS_POLICIES: Final = _by_arn()  # by ARN
TASK_POLICY_ARN: Final = f"arn:aws:iam::{AWS_ACCOUNT}:policy/root-task/{TASK_CREDENTIALS}"
