"""Fuzzing with coverage (atheris, which is libFuzzer for Python): runs the targets of tests/fuzz, two at a time.

`run` is `make fuzz`: every target, or the one that is named, from its kept corpus for so many seconds.  What it finds - an exception, an
input that takes too long, or too much memory - is written to tests/fuzz/found/, with the line that replays it, and the exit code is 1.
`replay` gives inputs to a target without the fuzzer.  `keep` adds to the kept corpus what seeds and a longer run have found, minimised.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parent.parent
FUZZ: Final = ROOT / "tests" / "fuzz"
AT_ONCE: Final = 2
INPUT_MAX_BYTES: Final = 4096
INPUT_MAX_S: Final = 10
RSS_MAX_MB: Final = 256  # of a target with a server in it; 80 were seen, in the first second and in the last
KEPT_MAX_BYTES: Final = 12 * 1024  # of one target's corpus
KEPT_INPUT_MAX_BYTES: Final = 700
SLACK_S: Final = 120  # for start, instrumentation and the kept corpus

sys.path[:0] = [str(FUZZ), str(ROOT / "tests" / "unit" / "server")]


class Outcome(NamedTuple):
    """What came of one target."""

    target: str
    status: int
    log: str


def _targets() -> dict[str, Callable[[], Callable[[bytes], None]]]:
    from fuzz_targets import TARGETS

    return TARGETS


def attack(target: str, arguments: list[str]) -> None:
    """Fuzz one target in this process, which libFuzzer ends."""
    import atheris

    with atheris.instrument_imports(include=["penstock"]):
        make = _targets()[target]
    again = f"{sys.executable} {__file__} attack {target}"  # libFuzzer's merge runs its own command line
    atheris.Setup([again, *arguments], make())
    atheris.Fuzz()


def _fuzz(target: str, seconds: int, corpus: Path) -> Outcome:
    """One target in a process of its own; what it learns goes to `corpus`."""
    options = [
        f"-max_total_time={seconds}",
        f"-max_len={INPUT_MAX_BYTES}",
        f"-timeout={INPUT_MAX_S}",
        f"-rss_limit_mb={RSS_MAX_MB}",
        f"-artifact_prefix={FUZZ / 'found' / target}-",
        f"-dict={_dictionary(corpus.parent)}",
        "-print_final_stats=1",
        "-reload=0",
    ]
    return _spawn(target, [*options, str(corpus), str(FUZZ / "corpus" / target)], seconds + SLACK_S)


def _spawn(target: str, arguments: list[str], longest_s: int) -> Outcome:
    command = [sys.executable, __file__, "attack", target, *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=longest_s, check=False)
    except subprocess.TimeoutExpired as late:
        return Outcome(target, 1, f"no end after {longest_s} s\n{late.stderr!r}")
    return Outcome(target, done.returncode, done.stderr + done.stdout)


def _dictionary(folder: Path) -> Path:
    from fuzz_seeds import words

    path = folder / "words"
    escaped = (re.sub(r'[\\"]', lambda found: "\\" + found[0], word) for word in sorted(words()) if word)
    path.write_text("".join(f'"{word}"\n' for word in escaped))
    return path


def _number(log: str, name: str) -> int:
    found = re.search(rf"stat::{name}:\s+(\d+)", log)
    return int(found[1]) if found else 0


def run(seconds: int, targets: list[str]) -> int:
    """Fuzz some targets; 1 if anything was found."""
    (FUZZ / "found").mkdir(exist_ok=True)
    failed = 0

    def one(target: str) -> Outcome:
        with tempfile.TemporaryDirectory(prefix="penstock-fuzz-") as name:
            corpus = Path(name) / "corpus"
            corpus.mkdir()
            return _fuzz(target, seconds, corpus)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for outcome in pool.map(one, targets):
            failed |= report(outcome)
    return failed


def report(outcome: Outcome) -> int:
    """Tell what came of a target in a line, or all that it said; 1 if it found something."""
    log = outcome.log
    coverage = re.findall(r"cov: (\d+)", log)
    rate, peak = _number(log, "average_exec_per_sec"), _number(log, "peak_rss_mb")
    done = f"{_number(log, 'number_of_executed_units'):>8} inputs, {rate:>5}/s, peak {peak} MiB"
    print(f"fuzz: {outcome.target:12} {done}, coverage {coverage[-1] if coverage else '?'}", flush=True)
    if outcome.status == 0:
        return 0
    print(log[-6000:])
    for path in re.findall(r"Test unit written to (\S+)", log):
        print(f"replay: .venv/bin/python tools/fuzz.py replay {outcome.target} {path}")
    return 1


def keep(targets: list[str], seconds: int) -> int:
    """Minimise seeds, the kept corpus and what a run of some seconds learns into the kept corpus, small inputs first."""
    from fuzz_seeds import seeds

    for target in targets:
        with tempfile.TemporaryDirectory(prefix="penstock-fuzz-") as name:
            learnt, merged, kept = Path(name) / "learnt", Path(name) / "merged", FUZZ / "corpus" / target
            for folder in (learnt, merged, kept):
                folder.mkdir(parents=True, exist_ok=True)
            for number, data in enumerate(data for each, data in seeds() if each == target):
                (learnt / f"seed-{number:03}").write_bytes(data)
            outcome = _fuzz(target, seconds, learnt)
            if outcome.status:
                return report(outcome)
            merging = _spawn(target, ["-merge=1", str(merged), str(kept), str(learnt)], 600)
            if merging.status:
                return report(merging)
            _replace(kept, merged)
            print(f"kept: {target}: {len(list(kept.iterdir()))} inputs")
    return 0


def _replace(kept: Path, merged: Path) -> None:
    shutil.rmtree(kept)
    kept.mkdir()
    total = 0
    for path in sorted(merged.iterdir(), key=lambda path: (path.stat().st_size, path.name)):
        size = path.stat().st_size
        total += size
        if total > KEPT_MAX_BYTES or size > KEPT_INPUT_MAX_BYTES:
            break
        (kept / path.name[:12]).write_bytes(path.read_bytes())


def replay(target: str, paths: list[str]) -> None:
    """Give inputs to a target; what it raises is shown."""
    from fuzz_targets import target as opened

    with opened(target) as given:
        for path in paths:
            given(Path(path).read_bytes())
            print(f"{path}: taken")


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("verb", choices=["run", "keep", "replay", "attack"])
    parser.add_argument("target", nargs="?", default="")
    parser.add_argument("--seconds", type=int, default=60)
    options, rest = parser.parse_known_args()
    if options.verb == "attack":
        attack(options.target, rest)
        return 0
    if options.verb == "replay":
        replay(options.target, rest)
        return 0
    targets = [options.target] if options.target else list(_targets())
    return run(options.seconds, targets) if options.verb == "run" else keep(targets, options.seconds)


if __name__ == "__main__":
    sys.exit(main())
