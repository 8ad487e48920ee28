"""Randomness: the operating system's, and a seed's."""

import os
import random


class SystemEntropy:
    """Randomness fit for keys."""

    def bytes(self, count: int) -> bytes:
        """`count` random bytes."""
        return os.urandom(count)

    def fraction(self) -> float:
        """A number in [0, 1)."""
        return random.SystemRandom().random()


class SeededEntropy:
    """The same numbers for the same seed: for tests, never for keys that guard anything."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def bytes(self, count: int) -> bytes:
        """`count` bytes of the seed's sequence."""
        return self._random.randbytes(count)

    def fraction(self) -> float:
        """The next number in [0, 1) of the seed's sequence."""
        return self._random.random()
