"""What is read of h2load's words."""

import pytest
from bench import h2
from bench.load import LoadFailed

SAID = """
finished in 2.00s, 1215.50 req/s, 490.03KB/s
requests: 1215 total, 1215 started, 1215 done, 1215 succeeded, {failed} failed, 0 errored, 0 timeout
status codes: 1215 2xx, 0 3xx, {refused} 4xx, 0 5xx
"""


@pytest.mark.parametrize(("failed", "refused", "wrong"), [(0, 0, 0), (2, 0, 2), (0, 3, 3)])
def test_outcome_when_answers_were_wrong_then_counts_them(failed: int, refused: int, wrong: int) -> None:
    assert h2.read(SAID.format(failed=failed, refused=refused)) == (1215.5, wrong)


def test_outcome_when_the_text_is_another_then_fails_with_it() -> None:
    with pytest.raises(LoadFailed, match="no such option"):
        h2.read("h2load: no such option")
