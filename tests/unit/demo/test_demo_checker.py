"""The checker catches what is lost, doubled, reordered or foreign."""

from penstock.demo.checker import GAP_MAX_RECORDS, Checker, Verdict


def verdict_of(sent: dict[str, int], read: list[tuple[str, int]]) -> Verdict:
    """The verdict when so many records of each key were sent and these were read, in this order."""
    checker = Checker()
    for key, count in sent.items():
        for number in range(1, count + 1):
            assert checker.sent(key) == number
    for key, number in read:
        checker.read(key, number)
    return checker.verdict()


def test_checker_when_each_key_is_read_in_order_is_content() -> None:
    verdict = verdict_of({"a": 3, "b": 2}, [("b", 1), ("a", 1), ("a", 2), ("b", 2), ("a", 3)])

    assert verdict.good
    assert str(verdict) == "5 records of 2 keys read back once each and in order"


def test_checker_when_a_record_in_the_middle_is_lost_says_which() -> None:
    verdict = verdict_of({"a": 3}, [("a", 1), ("a", 3)])

    assert not verdict.good
    assert (verdict.lost, verdict.doubled, verdict.reordered, verdict.foreign) == (1, 0, 0, 0)
    assert str(verdict) == "of 3 records of 1 keys: 1 lost; first, record 3 of a where 2 was due"


def test_checker_when_the_last_records_are_lost_says_from_where() -> None:
    verdict = verdict_of({"a": 1, "b": 3}, [("a", 1), ("b", 1)])

    assert not verdict.good
    assert (verdict.lost, verdict.first) == (2, "no record of b from 2 on")


def test_checker_when_a_whole_key_is_lost_notices() -> None:
    verdict = verdict_of({"a": 1, "b": 1}, [("a", 1)])

    assert (verdict.good, verdict.lost) == (False, 1)


def test_checker_when_a_record_is_read_twice_notices() -> None:
    verdict = verdict_of({"a": 2}, [("a", 1), ("a", 1), ("a", 2)])

    assert not verdict.good
    assert (verdict.lost, verdict.doubled, verdict.reordered) == (0, 1, 0)
    assert verdict.first == "record 1 of a again after record 1"


def test_checker_when_the_last_record_is_read_twice_notices() -> None:
    verdict = verdict_of({"a": 2}, [("a", 1), ("a", 2), ("a", 2)])

    assert (verdict.good, verdict.doubled) == (False, 1)


def test_checker_when_two_records_change_places_calls_it_order_not_loss() -> None:
    verdict = verdict_of({"a": 3}, [("a", 2), ("a", 1), ("a", 3)])

    assert not verdict.good
    assert (verdict.lost, verdict.doubled, verdict.reordered) == (0, 0, 1)


def test_checker_when_a_late_record_comes_twice_counts_both_faults() -> None:
    verdict = verdict_of({"a": 3}, [("a", 2), ("a", 1), ("a", 1), ("a", 3)])

    assert (verdict.lost, verdict.doubled, verdict.reordered) == (0, 1, 1)


def test_checker_when_a_record_was_never_sent_notices() -> None:
    for stranger in (("a", 2), ("b", 1), ("a", 0), ("a", -1)):
        verdict = verdict_of({"a": 1}, [("a", 1), stranger])

        assert (verdict.good, verdict.foreign, verdict.lost) == (False, 1, 0), stranger


def test_checker_when_a_loss_and_a_double_balance_is_not_fooled() -> None:
    verdict = verdict_of({"a": 2}, [("a", 1), ("a", 1)])

    assert (verdict.good, verdict.lost, verdict.doubled) == (False, 1, 1)


def test_checker_when_more_is_skipped_than_it_remembers_still_counts_what_is_lost() -> None:
    count = GAP_MAX_RECORDS + 10
    verdict = verdict_of({"a": count}, [("a", count)])

    assert (verdict.good, verdict.lost) == (False, count - 1)


def test_checker_when_a_record_was_perhaps_sent_twice_allows_it_once() -> None:
    checker = Checker()
    number = checker.sent("a")
    checker.maybe_twice("a", number)
    checker.read("a", number)
    checker.read("a", number)

    assert checker.verdict().good
    assert checker.verdict().repeated == 1

    checker.read("a", number)
    assert (checker.verdict().good, checker.verdict().doubled) == (False, 1)


def test_checker_when_nothing_was_sent_has_nothing_to_praise() -> None:
    assert not Checker().verdict().good


def test_checker_when_all_is_well_remembers_no_record() -> None:
    checker = Checker()
    for _ in range(1000):
        checker.read("a", checker.sent("a"))

    assert (checker.outstanding, checker.keys) == (0, 1)
    assert sum(len(held) for held in vars(checker).values() if isinstance(held, dict | set)) == 2
