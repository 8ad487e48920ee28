"""The report: every measurement as JSON, and its medians as a table for the terminal and a page for the docs.

Theory.  A figure is the median of its rounds with the least and the greatest.  Servers are compared by the ratio of their figures
within one round, since what slows the machine in a round slows both; a ratio's spread is over the rounds again.
Rules of this file: nothing is measured here, and nothing that failed is left out.
"""

import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console
from rich.table import Table

from bench.audit import Audit
from bench.load import ANSWERS_MIN, STRETCH_MAX, Outcome
from bench.scenarios import SCENARIOS, Measured, Scenario, Timing
from bench.servers import SIGNED

US: Final = "penstock"
DURABLE: Final = "penstock-local"
BASELINE: Final = "null"
HEADROOM_MIN: Final = 2.0  # the client's ceiling over a server's rate, from which the server was plainly the limit

DISTURBED_CORES: Final = 0.3  # of other processes, from which a figure is worse than it could be


class Subject(msgspec.Struct, kw_only=True):
    """A server that took part, or was to."""

    name: str
    version: str
    how: str
    problem: str | None = None  # why it took no part


class Run(msgspec.Struct, kw_only=True):
    """One measurement: which server did what in which round."""

    round: int
    scenario: str
    server: str
    measured: Measured


class Machine(msgspec.Struct, kw_only=True):
    """Where it ran."""

    processor: str
    cores: int
    memory_gib: int
    system: str
    python: str
    load_average: float  # over one minute, as the run began


class Result(msgspec.Struct, kw_only=True):
    """One run of the benchmarks."""

    date: str
    command: str
    commit: str
    machine: Machine
    rounds: int
    timing: Timing
    subjects: list[Subject] = []
    runs: list[Run] = []

    def of(self, scenario: str, server: str) -> list[Measured]:
        """The measurements of a server in a scenario, by round."""
        return [run.measured for run in self.runs if (run.scenario, run.server) == (scenario, server)]

    def values(self, scenario: str, server: str) -> dict[int, float]:
        """The values by round, of the rounds that gave one."""
        return {
            run.round: run.measured.value
            for run in self.runs
            if (run.scenario, run.server) == (scenario, server) and run.measured.value is not None
        }

    def advantages(self, scenario: Scenario, peer: str) -> list[float]:
        """How many times better Penstock did than a peer, by round; below 1 is worse."""
        ours, theirs = self.values(scenario.name, US), self.values(scenario.name, peer)
        rounds = sorted(ours.keys() & theirs.keys())
        if scenario.better == "higher":
            return [ours[each] / theirs[each] for each in rounds]
        return [theirs[each] / ours[each] for each in rounds]

    @property
    def scenarios(self) -> list[Scenario]:
        """The scenarios that were run."""
        return [scenario for scenario in SCENARIOS if any(run.scenario == scenario.name for run in self.runs)]

    @property
    def peers(self) -> list[str]:
        """The peers that were asked for."""
        return [subject.name for subject in self.subjects if subject.name not in (US, BASELINE)]


def write_json(result: Result, path: Path) -> None:
    """Write every measurement."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=1) + b"\n")


def number(value: float) -> str:
    """Three significant digits, or the whole number."""
    if value >= 1000:
        return f"{value:,.0f}"
    if value < 0.01:
        return f"{value:.4f}"
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def spread(values: Sequence[float], suffix: str = "") -> str:
    """The median with the least and the greatest."""
    middle = f"{number(statistics.median(values))}{suffix}"
    return middle if len(values) == 1 else f"{middle} ({number(min(values))} .. {number(max(values))})"


def _figure(result: Result, scenario: Scenario, server: str) -> str:
    values = list(result.values(scenario.name, server).values())
    if not values:
        return "failed" if result.of(scenario.name, server) else "not run"
    failed = len(result.of(scenario.name, server)) - len(values)
    return spread(values) + (f", {failed} failed" if failed else "")


def _target(result: Result, scenario: Scenario) -> str:
    if scenario.target is None:
        return "-"
    sign = ">=" if scenario.better == "higher" else "<"
    values = result.values(scenario.name, US).values()
    if not values:
        return f"{sign} {number(scenario.target)}"
    middle = statistics.median(values)
    met = middle >= scenario.target if scenario.better == "higher" else middle < scenario.target
    return f"{sign} {number(scenario.target)}: {'met' if met else 'MISSED'}"


Rows = list[list[str]]


def figures(result: Result) -> Rows:
    """Each server's figures; the first row is the head."""
    servers = [US, *result.peers]
    head = ["scenario", "unit", *servers, "target for penstock"]
    return [head] + [
        [scenario.name, f"{scenario.unit}, {scenario.better} is better"]
        + [_figure(result, scenario, server) for server in servers]
        + [_target(result, scenario)]
        for scenario in result.scenarios
    ]


def advantages(result: Result) -> Rows:
    """How many times better Penstock did than each peer."""
    rows = [["scenario", *(f"against {peer}" for peer in result.peers)]]
    for scenario in result.scenarios:
        ratios = [result.advantages(scenario, peer) for peer in result.peers]
        rows.append([scenario.name, *(spread(each, "x") if each else "-" for each in ratios)])
    return rows


def loads(result: Result) -> Rows:
    """What each load did: latencies, and the cores that each side kept busy."""
    head = ["scenario", "server", "p50 ms", "p99 ms", "server cores", "client cores", "other cores", "headroom"]
    rows = [head]
    for scenario in (each for each in result.scenarios if each.is_load):
        for server in (US, *result.peers, BASELINE):
            found = [
                each.load for each in result.of(scenario.name, server) if each.load is not None and each.load.answers
            ]
            if found:
                headroom = _headroom(result, scenario, server)
                shown = "-" if headroom is None else f"{number(headroom)}x"
                rows.append([scenario.name, server, *_load_cells(found), shown])
    return rows


def _load_cells(found: list[Outcome]) -> list[str]:
    def middle(of: Callable[[Outcome], float]) -> str:
        return number(statistics.median(of(load) for load in found))

    return [
        middle(lambda load: load.latency_p50_ms),
        middle(lambda load: load.latency_p99_ms),
        middle(lambda load: load.server_cores),
        middle(lambda load: load.client_cores),
        middle(lambda load: load.other_cores),
    ]


def verifying(result: Result) -> Rows:
    """The server's CPU time for each request, with and without signatures verified."""
    rows = [["scenario", DURABLE, SIGNED, "more"]]
    for scenario in (each for each in result.scenarios if each.is_load):
        costs = [_request_us(result, scenario, server) for server in (DURABLE, SIGNED)]
        if all(costs):
            plain_us, signed_us = (statistics.median(found) for found in costs)
            rows.append([scenario.name, number(plain_us), number(signed_us), f"{signed_us - plain_us:,.1f}"])
    return rows


def _request_us(result: Result, scenario: Scenario, server: str) -> list[float]:
    loads = [each.load for each in result.of(scenario.name, server)]
    return [
        load.server_cores * load.window_s / load.answers * 1e6 for load in loads if load is not None and load.answers
    ]


def _headroom(result: Result, scenario: Scenario, server: str) -> float | None:
    """How many times better the client does against the baseline than against a server."""
    ceilings = list(result.values(scenario.name, BASELINE).values())
    values = list(result.values(scenario.name, server).values())
    if not ceilings or not values or server == BASELINE:
        return None
    ceiling, value = statistics.median(ceilings), statistics.median(values)
    return ceiling / value if scenario.better == "higher" else value / ceiling


def ceilings(result: Result) -> list[str]:
    """For each load: what the client can do, and whether it or the server was the limit."""
    sentences = []
    for scenario in (each for each in result.scenarios if each.is_load):
        found = [each.load for each in result.of(scenario.name, BASELINE) if each.load is not None]
        headroom = _headroom(result, scenario, US)
        if not found or headroom is None:
            continue
        values = list(result.values(scenario.name, BASELINE).values())
        if scenario.better == "higher":
            requests = statistics.median(each.answers / each.window_s for each in found)
            limit = "the server was the limit" if headroom >= HEADROOM_MIN else "the client may have been the limit"
            sentences.append(
                f"{scenario.name}: client ceiling {number(requests)} requests/s, {number(statistics.median(values))}"
                f" {scenario.unit}; {number(headroom)} times better than against {US}, so {limit}."
            )
        else:
            sentences.append(
                f"{scenario.name}: {spread(values)} {scenario.unit} against the baseline: the share of client and kernel in each"
                " server's latency.  It is lower where the scheduler puts both sides on one core, higher where one wakes the other."
            )
    return sentences


def audits(result: Result) -> Rows:
    """Whether what was acknowledged could be read back, over all rounds."""
    rows = [["scenario", "server", "acknowledged", "readable", "verdict"]]
    for scenario in result.scenarios:
        for server in (US, *result.peers):
            found = [each.audit for each in result.of(scenario.name, server) if each.audit is not None]
            if found:
                rows.append([scenario.name, server, *_audit_cells(found)])
    return rows


def _audit_cells(found: list[Audit]) -> list[str]:
    notes = [each.note for each in found if each.note is not None]
    acknowledged, readable = sum(each.acknowledged for each in found), sum(each.readable for each in found)
    if notes:
        verdict = f"not counted to the end: {notes[0]}"
    elif any(each.acknowledged != each.readable for each in found):
        verdict = f"{acknowledged - readable:,} of the acknowledged records are MISSING"
    else:
        verdict = "every acknowledged record is there"
    return [f"{acknowledged:,}", f"{readable:,}", verdict]


def disturbance(result: Result) -> str:
    """What other processes of the machine used while loads ran."""
    used = [run.measured.load.other_cores for run in result.runs if run.measured.load is not None]
    if not used:
        return "not measured"
    advice = "; rates are lower, and spreads wider, than on a quiet machine" if max(used) > DISTURBED_CORES else ""
    return f"other processes used {spread(used)} cores while loads ran{advice}"


def problems(result: Result) -> list[str]:
    """What did not take part, and what failed."""
    absent = [f"{each.name} {each.version}: not run, {each.problem}" for each in result.subjects if each.problem]
    failed = [
        f"{run.server}, {run.scenario}, round {run.round}: {run.measured.failure}"
        for run in result.runs
        if run.measured.failure is not None
    ]
    return absent + failed


def show(result: Result, console: Console) -> None:
    """Print the tables."""
    sections = {
        "Figures: median (least .. greatest)": figures(result),
        "Penstock's advantage: ratio within a round, median (least .. greatest)": advantages(result),
        "Loads: medians": loads(result),
        "Audit": audits(result),
    }
    for title, (head, *rows) in sections.items():
        if rows and len(head) > 1:
            table = Table(*head, title=title, title_justify="left")
            for row in rows:
                table.add_row(*row)
            console.print(table)
    for sentence in [*ceilings(result), f"Disturbance: {disturbance(result)}."]:
        console.print(sentence, highlight=False)
    for problem in problems(result):
        console.print(f"[yellow]{problem}", highlight=False)


def _markdown(rows: Rows) -> str:
    head, *body = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    lines = [head, ["---"] * len(head), *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def page(result: Result) -> str:
    """The page for the docs."""
    machine, timing = result.machine, result.timing
    subjects = [each for each in result.subjects if each.name != BASELINE]
    nothing = ["Every server took part and no request failed."]
    return f"""# Benchmarks

Written by `{result.command}`; do not edit.

| | |
| --- | --- |
| date | {result.date} |
| commit | {result.commit} |
| machine | {machine.processor}, {machine.cores} cores shared by server and client, {machine.memory_gib} GiB, {machine.system}, \
Python {machine.python}; load average {machine.load_average:.2f} at the start |
| rounds | {result.rounds}, the servers taking turns within each |
| each measurement | a fresh server process and stream, {timing.warmup_s:g} s of warm-up, {timing.window_s:g} s of measurement \
(up to {STRETCH_MAX} times as long for a server that answers fewer than {ANSWERS_MIN} requests in it) |
| disturbance | {disturbance(result)} |

## Figures

Median of the rounds (least .. greatest).

{_markdown(figures(result))}

{_bullets([f"`{scenario.name}`: {scenario.title}." for scenario in result.scenarios])}

## Penstock against each peer

How many times better Penstock did than the peer in the same round: median of the rounds (least .. greatest).
Below 1 the peer did better.

{_markdown(advantages(result))}

## What is compared

{_bullets([f"`{each.name}` {each.version}: `{each.how}`." for each in subjects])}

Every server runs on 127.0.0.1 without TLS and gets the same requests.  `penstock-local` is Penstock with its durable engine: each
record is on disk (fdatasync) before it is acknowledged; all but it and `{SIGNED}` keep records in memory.  `{SIGNED}` is the same with
`--auth enforced`: each request is signed, shortly before its load begins, and the server verifies the signature and asks policies.
No other server verifies signatures.
Penstock runs without AWS's throughput limits, as it does by default; the peers do not enforce them either.
The peers are made for tests of moderate size, not for throughput; moto closes the connection after each answer, and its cost per
record grows with the records it holds.

## Was the client the limit?

The same client is run against a responder that reads requests and answers fixed bytes (`null`).  Its rate there is the least that the
client can do (the responder may be its limit), so a server with headroom well above 1 was itself the limit.  Cores are CPU seconds
per second: of the server's process tree, of the client, and of all other processes of the machine, which disturb.
The client checks every answer: its status, that no record failed, and the number of records.

{_bullets(ceilings(result))}

{_markdown(loads(result))}

## What does verifying cost?

CPU seconds of the server's process for each request, in microseconds: medians.  What `{SIGNED}` takes more than `{DURABLE}` is the price
of verified signatures.  `python -m bench.inprocess` measures the same without the kernel's sockets, and more steadily.

{_markdown(verifying(result))}

## Are the records there?

After the load an ordinary client (boto3) reads all shards and counts, over all rounds.

{_markdown(audits(result))}

## What did not work

{_bullets(problems(result) or nothing)}
"""


def _bullets(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
