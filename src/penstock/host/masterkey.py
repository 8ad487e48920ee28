"""The file of the master key: 64 hexadecimal digits, readable by its owner only.

It is made once, when the first secret has to be kept.  Two processes that make it at once end with one key: the file appears whole under
its name, or not at all.
"""

import asyncio
import logging
import os
import re
from pathlib import Path
from typing import Final

from penstock.core.ports import Entropy

logger = logging.getLogger(__name__)

MASTER_KEY_FILE: Final = "master.key"  # in the data directory, unless a setting names another
_KEY_BYTES: Final = 32
_TEXT = re.compile(rb"[0-9a-fA-F]{64}\s*")
_OTHERS: Final = 0o007


class MasterKeyFile:
    """One such file, which may not exist yet."""

    def __init__(self, path: Path, entropy: Entropy) -> None:
        self.path = path
        self._entropy = entropy

    async def read(self) -> bytes | None:
        """The key, or None if there is no file.  Raises OSError, and ValueError for a file that holds no key."""
        return await asyncio.get_running_loop().run_in_executor(None, self._read)

    async def make(self) -> bytes:
        """The key, made now if there is no file.  Raises what `read` raises."""
        return await asyncio.get_running_loop().run_in_executor(None, self._make)

    def _read(self) -> bytes | None:
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            content, mode = os.read(descriptor, 4096), os.fstat(descriptor).st_mode
        finally:
            os.close(descriptor)
        if not _TEXT.fullmatch(content):
            raise ValueError(f"{self.path}: must hold {2 * _KEY_BYTES} hexadecimal digits")
        if mode & _OTHERS:
            logger.warning("%s: everyone on this machine can read the master key; chmod 600 it", self.path)
        return bytes.fromhex(content.decode())

    def _make(self) -> bytes:
        if (held := self._read()) is not None:
            return held
        new = self.path.with_name(f".{self.path.name}.{self._entropy.bytes(4).hex()}")
        write_private(new, self._entropy.bytes(_KEY_BYTES).hex().encode() + b"\n")
        try:
            self.path.hardlink_to(new)
        except FileExistsError:  # another process was faster
            pass
        finally:
            new.unlink()
        sync_folder(self.path.parent)
        made = self._read()
        assert made is not None, "it was just put there"
        return made


def write_private(path: Path, content: bytes) -> None:
    """A new file, durable, that only its owner may read.  Raises FileExistsError, OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(path: Path) -> None:
    """Make a folder's entries durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
