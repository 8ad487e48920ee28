"""Rights: with `--auth enforced`, what roles may do that services act as, and what a service may do as itself."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from penstock.composition.room import Room
from penstock.core.ids import AccountId, Region
from penstock.services.targets import RoleRights, Target

if TYPE_CHECKING:
    from penstock.services.iam.authorisation import Authoriser


def rights_of_roles(room: Room, session: str) -> RoleRights | None:
    """What roles may do in sessions of a name; None where every role may do everything."""
    return None if room.authoriser is None else _Rights(room, room.authoriser, session)


class _Rights:
    """Asks the policies of a role and of what it wants to reach, whose service is opened for that."""

    def __init__(self, room: Room, authoriser: "Authoriser", session: str) -> None:
        self._room = room
        self._authoriser = authoriser
        self._session = session

    async def why_not(self, role: str, action: str, arn: str) -> str | None:
        """Why a role may not, in AWS's words; None if it may."""
        target = await self._target(account_of(role), arn)
        return self._authoriser.why_role_not(role, self._session, action, target)

    async def _target(self, account: str, arn: str) -> Target:
        """What an ARN names; a bucket, whose owner nobody knows here, is the account's of who asks."""
        match arn.split(":")[2]:
            case "sqs":
                from penstock.composition.queues import open_queues
                from penstock.services.queues import targets as queues

                return queues.target_of(await self._room.open(open_queues), arn)
            case "sns":
                from penstock.composition.topics import open_topics
                from penstock.services.topics import targets as topics

                return topics.target_of(await self._room.open(open_topics), arn, arn.split(":")[4])
            case "lambda":
                from penstock.composition.functions import open_core
                from penstock.services.functions import targets as functions
                from penstock.services.functions.names import read_name

                name = read_name(AccountId(account), Region(arn.split(":")[3]), arn)
                return functions.target_of((await self._room.open(open_core)).directory, name)
            case _:
                return Target(arn, account)


def account_of(role: str) -> str:
    """The account of a role's ARN; none where the function is gone, and with it what it was."""
    parts = role.split(":")
    return parts[4] if len(parts) > 4 else ""


def rights_to_queues(room: Room, service: str) -> Callable[[str, str], str | None]:
    """Says why a service may not send to the queue of an ARN on behalf of the resource of another."""
    authoriser = room.authoriser
    if authoriser is None:
        return lambda source, queue: None
    from penstock.composition.queues import open_queues
    from penstock.services.queues import targets

    def why_not(source: str, queue: str) -> str | None:
        queues = room.opened(open_queues)
        assert queues is not None, "whoever sends to queues has opened them"
        return authoriser.why_service_not(service, "sqs:SendMessage", targets.target_of(queues, queue), source)

    return why_not
