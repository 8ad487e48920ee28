"""Sizes: the unit that suits."""

from penstock.core.sizes import size_text


def test_size_text_when_a_size_grows_then_it_takes_the_unit_that_suits() -> None:
    assert [size_text(size) for size in (0, 999, 1024, 20_000, 5_000_000, 5e9, 3e12, 4e15)] == [
        "0 B", "999 B", "1.0 KiB", "20 KiB", "4.8 MiB", "4.7 GiB", "2.7 TiB", "3,638.0 TiB"
    ]  # fmt: skip
