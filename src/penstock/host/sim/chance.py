"""The seed's numbers, in named streams: one more draw in one place does not change what all other places draw."""

from random import Random


class Chance(Random):
    """A stream of numbers that a seed and a name alone decide."""

    def __init__(self, seed: int, name: str) -> None:
        super().__init__(f"{seed}/{name}")  # by SHA-512 of the text: the same in every process
