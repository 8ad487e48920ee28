"""Lines and multi-line records, with their offsets."""

import pytest

from penstock.agent.expression import BadExpression, compile_expression
from penstock.agent.lines import Cutter, Gatherer, Records, without


def cut(*chunks: bytes, offset: int = 0, max_bytes: int = 100, skip_lines: int = 0) -> tuple[Records, Cutter]:
    cutter, made = Cutter(offset, max_bytes, b"~\n", skip_lines=skip_lines), Records()
    for chunk in chunks:
        more = cutter.feed(chunk)
        made.datas += more.datas
        made.ends += more.ends
        made.truncated += more.truncated
    return made, cutter


def test_cutter_when_lines_are_spread_over_chunks_then_they_come_whole_with_their_offsets() -> None:
    made, cutter = cut(b"one\ntw", b"o", b"\r\n\nthree\nfo", offset=1000)
    assert made.datas == [b"one\n", b"two\r\n", b"\n", b"three\n"]
    assert made.ends == [1004, 1009, 1010, 1016]
    assert (cutter.safe, cutter.holds_part) == (1016, True)
    rest = cutter.rest()
    assert (rest.datas, rest.ends, cutter.holds_part) == ([b"fo"], [1018], False)


@pytest.mark.parametrize("pieces", [1, 3, 50])
def test_cutter_when_a_line_is_too_long_then_it_ends_in_the_terminator_and_offsets_stay_true(pieces: int) -> None:
    line = b"x" * 150 + b"\nnext\n"
    step = len(line) // pieces + 1
    made, _ = cut(*(line[at : at + step] for at in range(0, len(line), step)))
    assert made.datas == [b"x" * 98 + b"~\n", b"next\n"]
    assert (made.ends, made.truncated) == ([151, 156], 1)


def test_cutter_when_a_line_fits_exactly_then_it_is_whole() -> None:
    assert cut(b"x" * 99 + b"\n")[0].datas == [b"x" * 99 + b"\n"]


def test_cutter_when_a_line_never_ends_then_memory_is_bounded() -> None:
    made, cutter = cut(*[b"x" * 1000] * 1000)
    assert not made.datas
    assert len(cutter._held) <= 101
    assert cutter.feed(b"\n").ends == [1_000_001]


def test_cutter_when_there_are_header_lines_then_they_are_skipped_at_the_start_of_the_file_alone() -> None:
    made, cutter = cut(b"a\nb", b"\nc\n", skip_lines=2)
    assert made.datas == [b"c\n"]
    assert cutter.safe == 6
    assert cut(b"a\nb\n", offset=6, skip_lines=2)[0].datas == [b"a\n", b"b\n"]
    assert cut(b"a\n", skip_lines=2)[1].safe == 0, "a restart has to see the whole header"


def gather(lines: bytes, max_bytes: int = 100) -> tuple[Records, Gatherer]:
    gatherer = Gatherer(0, compile_expression(r"\["), max_bytes, b"~\n")
    return gatherer.feed(cut(lines)[0]), gatherer


def test_gatherer_when_a_line_matches_then_the_record_before_it_is_whole() -> None:
    made, gatherer = gather(b"before\n[1]\n a\n b\n[2]\n")
    assert made.datas == [b"before\n", b"[1]\n a\n b\n"]
    assert made.ends == [7, 17]
    assert gatherer.begin == 17
    flushed = gatherer.flush()
    assert (flushed.datas, flushed.ends) == ([b"[2]\n"], [21])
    assert not gatherer.flush().datas


def test_gatherer_when_a_record_is_too_long_then_it_is_truncated_and_bounded() -> None:
    made, gatherer = gather(b"[1]\n" + b"xxxx\n" * 1000 + b"[2]\n", max_bytes=20)
    assert made.datas == [b"[1]\nxxxx\nxxxx\nxxxx~\n"]
    assert made.truncated == 1
    assert gatherer.begin == 5004


def test_gatherer_when_a_line_says_the_pattern_inside_then_it_begins_nothing() -> None:
    assert gather(b"[1]\nx [2]\n[3]\n")[0].datas == [b"[1]\nx [2]\n"]


def test_without_when_lines_match_the_footer_then_they_are_left_out() -> None:
    made = without(cut(b"a\n-- 2 rows\nb\n")[0], compile_expression("-- .*rows"))
    assert (made.datas, made.ends) == ([b"a\n", b"b\n"], [2, 14])


@pytest.mark.parametrize("pattern", ["(?=a)", r"(a)\1", "(a", "a++", "x{2000}"])
def test_expression_when_re2_does_not_take_it_then_it_says_so(pattern: str) -> None:
    with pytest.raises(BadExpression, match="look-around"):
        compile_expression(pattern)


def test_expression_when_it_would_be_exponential_elsewhere_then_it_takes_no_time() -> None:
    assert compile_expression("(a+)+$").match(b"a" * 100_000 + b"b") is None
