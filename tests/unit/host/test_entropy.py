"""Randomness: a seed repeats itself, the system does not."""

from penstock.host.entropy import SeededEntropy, SystemEntropy


def drawn(entropy: SeededEntropy) -> tuple[bytes, float, bytes]:
    return entropy.bytes(16), entropy.fraction(), entropy.bytes(3)


def test_seeded_when_the_seed_is_the_same_then_so_are_the_numbers() -> None:
    assert drawn(SeededEntropy(5)) == drawn(SeededEntropy(5)) != drawn(SeededEntropy(6))


def test_seeded_when_drawn_again_then_the_numbers_are_others() -> None:
    entropy = SeededEntropy(5)
    assert drawn(entropy) != drawn(entropy)


def test_system_when_drawn_then_lengths_and_ranges_are_as_asked() -> None:
    entropy = SystemEntropy()
    assert [len(entropy.bytes(count)) for count in (0, 1, 32)] == [0, 1, 32]
    assert entropy.bytes(32) != entropy.bytes(32)
    assert all(0 <= entropy.fraction() < 1 for _ in range(100))
