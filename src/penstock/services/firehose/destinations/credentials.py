"""Credentials of destinations: from the configuration, or from a secret that it names.

Source: "Use AWS Secrets Manager": each destination's secret is a JSON object with fixed members.
Rules of this file: a secret is read anew for every attempt, so that a rotated one is used; it is never part of a message.
"""

from collections.abc import Mapping, Sequence

import msgspec

from penstock.core.errors import ServiceError
from penstock.services.firehose.shapes import SecretsManagerConfiguration
from penstock.services.firehose.site import Site


class NoSecret(Exception):
    """The secret cannot be had; its text says why, without any of it."""


async def members(
    configuration: SecretsManagerConfiguration | None, site: Site, names: Sequence[str]
) -> Mapping[str, str] | None:
    """The members of the secret that are asked for; None where the configuration has the credentials itself.

    Raises NoSecret.
    """
    if configuration is None or not configuration.enabled:
        return None
    if site.secrets is None or configuration.secret_arn is None:
        raise NoSecret("there is no Secrets Manager to ask for credentials")
    try:
        text = await site.secrets.get(site.account, site.region, configuration.secret_arn)
    except ServiceError as error:
        raise NoSecret(f"the secret {configuration.secret_arn} cannot be read: {error.code}") from None
    try:
        found = msgspec.json.decode(text, type=dict[str, object])
    except msgspec.MsgspecError:
        raise NoSecret(f"the secret {configuration.secret_arn} is no JSON object") from None
    values = {name: value for name in names if isinstance(value := found.get(name), str)}
    if len(values) < len(names):
        raise NoSecret(f"the secret {configuration.secret_arn} must have the members {', '.join(names)}")
    return values
