"""Our decisions held against those of an independent judge, on generated policies and requests.

Run by `make oracle`, which installs the judge; the file's name keeps it out of `make test`, which needs no Node.
PENSTOCK_ORACLE_SEED and PENSTOCK_ORACLE_CASES choose other cases and more of them.
"""

import logging
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from oracle_cases import Case, Draw
from oracle_differences import DIFFERENCES
from oracle_judges import Judgement, oracle, ours

logger = logging.getLogger(__name__)
SEED = int(os.environ.get("PENSTOCK_ORACLE_SEED", "1"))
SEPARATOR = " + "
CASES = int(os.environ.get("PENSTOCK_ORACLE_CASES", "6000"))


@dataclass
class Round:
    """Everything that was asked."""

    cases: list[Case]
    ours: list[Judgement]
    theirs: list[Judgement]
    explained: Counter[str]
    unexplained: list[str]

    @property
    def alike(self) -> int:
        """How many cases both judges say the same of."""
        return sum(mine == they for mine, they in zip(self.ours, self.theirs, strict=True))


@pytest.fixture(scope="module")
def asked() -> Round:
    draw = Draw(SEED)
    cases = [draw.case() for _ in range(CASES)]
    mine, theirs = [ours(case) for case in cases], oracle(cases)
    apart = [(case, me, they) for case, me, they in zip(cases, mine, theirs, strict=True) if me != they]
    explained, unexplained = _explain(apart)
    return Round(cases, mine, theirs, explained, unexplained)


def _explain(apart: list[tuple[Case, Judgement, Judgement]]) -> tuple[Counter[str], list[str]]:
    """Which rows explain which disagreements: a single row if one does, or all that leave our answer as it is."""
    trials = [(at, names, other) for at, (case, mine, _) in enumerate(apart) for names, other in _trials(case, mine)]
    heard = oracle([other for _, _, other in trials]) if trials else []
    reasons: dict[int, str] = {}
    for (at, names, other), they in zip(trials, heard, strict=True):
        if they == ours(other):
            reasons.setdefault(at, names)
    unexplained = [
        f"ours {mine}\ntheirs {theirs}\n{case}" for at, (case, mine, theirs) in enumerate(apart) if at not in reasons
    ]
    return Counter(reasons.values()), unexplained


def _trials(case: Case, mine: Judgement) -> Iterator[tuple[str, Case]]:
    """The case rewritten by each row, and by all of them."""
    together, names = case, list[str]()
    for row in DIFFERENCES:
        alone = row.rewrite(case)
        if alone != case and ours(alone).everything == mine.everything:
            yield row.name, alone
        both = row.rewrite(together)
        if both != together and ours(both).everything == mine.everything:
            together, names = both, [*names, row.name]
    yield SEPARATOR.join(names), together


def test_oracle_when_it_disagrees_then_a_row_explains_it(asked: Round) -> None:
    logger.info("%d cases, %d alike; explained: %s", len(asked.cases), asked.alike, dict(asked.explained))
    assert not asked.unexplained, "\n\n".join(asked.unexplained[:5]) + f"\n{len(asked.unexplained)} unexplained"


def test_differences_when_all_was_asked_then_each_row_was_needed(asked: Round) -> None:
    used = {name for names in asked.explained for name in names.split(SEPARATOR)}
    assert used == {row.name for row in DIFFERENCES}


def test_differences_when_counted_then_they_are_few(asked: Round) -> None:
    roots = sum(case.principal.endswith(":root") for case in asked.cases)
    assert asked.explained.total() < roots + 0.05 * len(asked.cases)


def test_cases_when_drawn_then_every_answer_is_common_for_every_kind_of_policy(asked: Round) -> None:
    for part in Judgement._fields:
        seen = Counter(getattr(judgement, part) for judgement in asked.ours)
        assert (
            min(seen[answer] for answer in ("Allowed", "ImplicitlyDenied", "ExplicitlyDenied")) > len(asked.cases) / 200
        ), (part, seen)
