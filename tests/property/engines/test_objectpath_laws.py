"""Paths of objects: any key is spelled in names that stay where they are put, and can be read back."""

from itertools import chain

from hypothesis import example, given
from hypothesis import strategies as st

from penstock.engines.objectpath import BESIDE, GOES_ON, read_name, segments

HARD = st.sampled_from(
    ["%", "/", ".", "..", "%+", "%~", "\\", "\x00", "\n", "é", "2E", "x" * 199, "." * 201, "\U0001f600" * 60, "a"]
)
KEYS = st.one_of(st.text(max_size=1024), st.lists(HARD, min_size=1, max_size=20).map("".join)).filter(bool)


def read_back(names: list[list[str]]) -> str:
    texts = []
    for segment in names:
        parts = [read_name(name) for name in segment]
        assert all(parts)
        assert [part.goes_on for part in parts if part] == [True] * (len(parts) - 1) + [False]
        assert not any(part.beside for part in parts if part)
        texts.append("".join(part.text for part in parts if part))
    return "/".join(texts)


@given(KEYS)
@example("." * 201)
@example("x" * 200 + "..")
def test_segments_when_read_back_then_they_are_the_key(key: str) -> None:
    assert read_back(segments(key)) == key


@given(KEYS)
def test_segments_when_joined_then_they_stay_below_their_folder(key: str) -> None:
    for name in chain.from_iterable(segments(key)):
        assert name not in ("", ".", "..")
        assert not set(name) & set("/\0")
        assert len((name + BESIDE).encode()) <= 255
        assert not name.endswith(BESIDE)


@given(st.from_regex(r"[A-Za-z0-9=_.!'()*,;:@&+$ -]{3,200}", fullmatch=True))
def test_segments_when_a_key_is_readable_then_it_is_its_own_path(key: str) -> None:
    if key != "." * len(key):
        assert segments(f"{key}/{key}") == [[key], [key]]


@given(st.one_of(st.text(min_size=1, max_size=20), st.lists(HARD, min_size=1, max_size=4).map("".join)))
@example("100%.txt")
@example("%+")
@example("%2e")
@example("%C3")
@example("%41")
@example("\udce9")
@example("..%+")
def test_read_name_when_a_name_is_read_then_only_one_text_has_it(name: str) -> None:
    found = read_name(name)
    if found is None or "/" in name or "\0" in name or name in (".", ".."):
        return
    plain = name.removesuffix(BESIDE) if found.beside else name
    if found.goes_on:
        assert plain.endswith(GOES_ON)
        assert read_name(plain.removesuffix(GOES_ON)) is not None or found.text in (".", "..")
    elif len(plain.encode()) <= 200:
        assert segments(found.text) == [[plain]]
