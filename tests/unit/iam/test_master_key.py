"""The master key is made once, whoever asks for it at the same time."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from identity_world import ROOT, KeyInMemory, SetClock, World

from penstock.engines.memory import MemoryMeta
from penstock.host.entropy import SeededEntropy
from penstock.services.iam.ops import key
from penstock.services.kms.guard import OpenGuard
from penstock.services.kms.keyring import Keyring
from penstock.services.kms.keys import Keys
from penstock.services.kms.service import Kms
from penstock.services.kms.state import Place

Use = Callable[[], Awaitable[object]]


class Late(KeyInMemory):
    """Tells who asks first only when it is let what it found, as a thread on a busy machine does."""

    def __init__(self) -> None:
        super().__init__()
        self.let = asyncio.Event()
        self.let.set()

    async def read(self) -> bytes | None:
        found, let = self.key, self.let
        self.let = asyncio.Event()
        self.let.set()
        await let.wait()
        return found

    def hold(self) -> asyncio.Event:
        """What lets the next answer go."""
        self.let = asyncio.Event()
        return self.let


async def of_kms(master: Late) -> tuple[Use, Use]:
    keys, clock, entropy = Keys(MemoryMeta(), master, SetClock()), SetClock(), SeededEntropy(1)
    await keys.open()
    kms = Kms(keys, Keyring(keys, entropy), OpenGuard(), clock, entropy)
    return keys.vault, lambda: kms.create(Place(ROOT.account, ROOT.region), "{}", "", {})


async def of_identities(master: Late, world: World) -> tuple[Use, Use]:
    make = key.CreateAccessKeyRequest(user_name="ann")
    return world.iam.identities.vault, lambda: key.create_access_key(world.iam, ROOT, make)


@pytest.mark.parametrize("service", ["kms", "iam"])
def test_master_key_when_another_call_made_it_and_sealed_with_it_meanwhile_is_that_one(service: str) -> None:
    master = Late()
    world = World(master=master)
    world.user()

    async def run() -> None:
        open_vault, use = await (of_kms(master) if service == "kms" else of_identities(master, world))
        let = master.hold()
        slow = asyncio.gather(open_vault())
        await asyncio.sleep(0)  # noqa: TID251 - one turn of the loop: it has found none
        await use()
        let.set()
        await slow

    asyncio.run(run())
