"""The kept corpus: every input that ever taught the fuzzer something is taken by its target without complaint.

What a run finds is written to tests/fuzz/found/ and is replayed here too, until it is mended and moved to the corpus.
"""

import pytest
from fuzz_targets import CORPUS, FOUND, TARGETS, kept, target

CORPUS_MAX_BYTES = 16 * 1024  # of one target: what is kept is minimised


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_kept_corpus_when_replayed_finds_nothing(name: str) -> None:
    inputs = kept(name)
    assert len(inputs) >= 5
    assert sum(path.stat().st_size for path in inputs) <= CORPUS_MAX_BYTES
    with target(name) as attack:
        for path in inputs:
            try:
                attack(path.read_bytes())
            except Exception as error:
                raise AssertionError(f"python tools/fuzz.py replay {name} {path}") from error


def test_corpus_when_listed_has_a_folder_for_each_target() -> None:
    assert {path.name for path in CORPUS.iterdir()} == TARGETS.keys()


def test_findings_when_replayed_are_mended() -> None:
    for path in sorted(FOUND.glob("*-*")):
        with target(path.name.partition("-")[0]) as attack:
            attack(path.read_bytes())
