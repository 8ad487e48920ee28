"""Where reading begins, and what a look at the directory means."""

import pytest

from penstock.agent.buffers import Place
from penstock.agent.expression import compile_expression
from penstock.agent.source import Rules, Source
from penstock.agent.tracking import FileKey, Finding, Origin, Row, Seen, changes, compare, first_starts


def seen(name: str, inode: int, modified_ms: int = 0, size: int = 100, *, covered: bool = True) -> Seen:
    return Seen(name, FileKey(1, inode), size, modified_ms, covered)


def row(name: str, inode: int, offset: int = 50, modified_ms: int = 5, mark: bytes = b"mark") -> Row:
    return Row(name, FileKey(1, inode), modified_ms, 100, Place(offset, mark))


def starts(
    entries: list[Seen], rows: list[Row], *, known: bool = True, from_end: bool = True
) -> list[tuple[str, Origin, int]]:
    found = first_starts(entries, rows, known=known, from_end=from_end)
    return [(start.seen.name, start.origin, start.place.offset) for start in found]


def test_starts_when_nothing_is_known_then_initial_position_counts_for_all_the_oldest_first() -> None:
    files = [seen("b", 2, 20), seen("a", 1, 30), seen("c", 3, 10)]
    assert starts(files, [], known=False) == [("c", Origin.END, 0), ("b", Origin.END, 0), ("a", Origin.END, 0)]
    assert {start[1] for start in starts(files, [], known=False, from_end=False)} == {Origin.START}


def test_starts_when_a_flow_was_begun_then_files_without_a_row_are_new() -> None:
    assert starts([seen("a", 1), seen("b", 2)], [row("a", 1)]) == [("a", Origin.PLACE, 50), ("b", Origin.START, 0)]


def test_starts_when_a_file_was_renamed_then_it_goes_on_and_the_new_one_begins() -> None:
    files = [seen("app.log.1", 1, 1, covered=False), seen("app.log", 2, 2), seen("other", 3, covered=False)]
    assert starts(files, [row("app.log", 1)]) == [("app.log.1", Origin.PLACE, 50), ("app.log", Origin.START, 0)]


def test_starts_when_the_inode_is_another_but_the_name_is_not_then_the_mark_decides() -> None:
    """As after a restore, or where a file system gives numbers anew."""
    assert starts([seen("app.log", 9)], [row("app.log", 1)]) == [("app.log", Origin.PLACE, 50)]
    assert starts([seen("app.log", 9)], [row("app.log", 1, mark=b"")]) == [("app.log", Origin.START, 0)]


def test_starts_when_rows_are_the_originals_then_only_files_changed_since_are_new() -> None:
    files = [seen("old", 2, 4), seen("app.log", 1, 9), seen("newer", 3, 6)]
    assert starts(files, [row("app.log", 1, mark=b"")], known=False, from_end=False) == [
        ("old", Origin.END, 0),
        ("newer", Origin.START, 0),
        ("app.log", Origin.PLACE, 50),
    ]


def test_changes_when_names_come_go_and_change_then_each_is_told_the_oldest_first() -> None:
    files = [
        seen("new-b", 5, 9),
        seen("new-a", 4, 8),
        seen("moved", 1, covered=False),
        seen("stranger", 6, covered=False),
    ]
    found = changes({FileKey(1, 1), FileKey(1, 2)}, files)
    assert [entry.name for entry in found.new] == ["new-a", "new-b"]
    assert {key.inode: entry.name for key, entry in found.names.items()} == {1: "moved"}
    assert [key.inode for key in found.gone] == [2]


@pytest.mark.parametrize(
    ("size", "before", "finding"),
    [
        (10, b"mark", Finding.SAME),
        (11, b"mark", Finding.GROWN),
        (9, b"mar", Finding.REPLACED),
        (9, b"mark", Finding.REPLACED),
        (11, b"else", Finding.REPLACED),
    ],
)
def test_compare_when_a_file_is_asked_then_size_and_mark_tell(size: int, before: bytes, finding: Finding) -> None:
    assert compare(size, 10, b"mark", before) is finding


def test_source_when_it_holds_a_record_then_its_safe_place_is_before_it() -> None:
    rules = Rules(1000, b"\n", multi_line_start=compile_expression("#"))
    source = Source(1, seen("a", 1), rules, Place(100, b"before"), 0)
    fed = source.feed(b"# one\n two\n# th", 5)
    assert (fed.records.datas, source.position, source.safe) == ([], 115, 100)
    fed = source.feed(b"ree\n", 6)
    assert (fed.records.datas, source.safe) == ([b"# one\n two\n"], 111)
    assert fed.window.place(111).mark == b"before# one\n two\n"
    assert source.finish().records.datas == [b"# three\n"]
    assert source.safe == source.position == 119
