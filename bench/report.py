"""The report: every measurement as JSON, and its medians as tables for the terminal and a page for the docs.

Theory.  A figure is the median of its rounds with its spread: the farthest round, in per cent of the median.  Servers are compared by the
ratio of their figures within one round, since what slows the machine in a round slows both.
Rules of this file: nothing is measured here, and nothing that failed is left out.
"""

import statistics
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console
from rich.table import Table

from bench import plots
from bench.audit import Audit
from bench.limits import Bound, bounds, nearest
from bench.load import ANSWERS_MIN, STRETCH_MAX, Outcome
from bench.scenarios import FIGURES, SCENARIOS, WIDE, WIDE_AIM, WIDE_FLOOR, Figure, Measured, Scenario, Timing
from bench.servers import MEMORY, OPEN, ROOT, US, Part

LIMITS: Final = "limits"
MACHINE: Final = "machine"
NULL: Final = "null"
PAGE: Final = ROOT / "docs" / "benchmarks.md"
PICTURES: Final = ROOT / "docs" / "benchmarks"
HEADROOM_MIN: Final = 2.0  # the client's ceiling over a server's rate, from which the server was plainly the limit
DISTURBED_CORES: Final = 0.3  # of other processes, from which a figure is worse than it could be


class Subject(msgspec.Struct, kw_only=True):
    """A server that took part, or was to."""

    name: str
    part: Part
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

    def values(self, figure: str, server: str) -> dict[int, float]:
        """The values of a figure by round, of the rounds that gave one."""
        return {
            run.round: run.measured.values[figure]
            for run in self.runs
            if run.server == server and figure in run.measured.values
        }

    def median(self, figure: str, server: str) -> float | None:
        """The median of a figure, if there is any."""
        found = self.values(figure, server).values()
        return statistics.median(found) if found else None

    def ratios(self, figure: Figure, server: str, other: str) -> list[float]:
        """How many times better a server did than another, by round; below 1 is worse."""
        ours, theirs = self.values(figure.name, server), self.values(figure.name, other)
        rounds = sorted(ours.keys() & theirs.keys())
        if figure.better == "higher":
            return [ours[each] / theirs[each] for each in rounds]
        return [theirs[each] / ours[each] for each in rounds]

    def best_peer(self, figure: Figure) -> str | None:
        """The peer with the best median."""
        found = {name: value for name in self.peers if (value := self.median(figure.name, name)) is not None}
        if not found:
            return None
        return max(found, key=found.__getitem__) if figure.better == "higher" else min(found, key=found.__getitem__)

    def bounds(self, figure: str) -> list[Bound]:
        """What the machine allowed, by the medians of its limits."""
        names = {name for run in self.runs if run.scenario == LIMITS for name in run.measured.values}
        limits = {name: value for name in names if (value := self.median(name, MACHINE)) is not None}
        return bounds(figure, limits, self.median(figure, NULL))

    @property
    def scenarios(self) -> list[Scenario]:
        """The scenarios that were run."""
        return [scenario for scenario in SCENARIOS if any(run.scenario == scenario.name for run in self.runs)]

    @property
    def peers(self) -> list[str]:
        """The peers that took part."""
        return [subject.name for subject in self.subjects if subject.part == Part.PEER and not subject.problem]

    @property
    def servers(self) -> list[str]:
        """All that are compared: ours first, then the peers."""
        own = [each.name for each in self.subjects if each.part in (Part.US, Part.VARIANT) and not each.problem]
        return own + self.peers


def read_json(path: Path) -> Result:
    """A kept run."""
    return msgspec.json.decode(path.read_bytes(), type=Result)


def write_json(result: Result, path: Path) -> None:
    """Keep a run; what was kept before is there until the new is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".new")
    beside.write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=1) + b"\n")
    beside.replace(path)


def number(value: float) -> str:
    """Three significant digits, or the whole number."""
    if value >= 1000:
        return f"{value:,.0f}"
    if value < 0.01:
        return f"{value:.4f}"
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def spread(values: Iterable[float], suffix: str = "") -> str:
    """The median, and how far the farthest round is from it."""
    held = list(values)
    middle = statistics.median(held)
    if len(held) == 1 or not middle:
        return f"{number(middle)}{suffix}"
    farthest = max(max(held) - middle, middle - min(held)) / middle
    return f"{number(middle)}{suffix} ±{farthest * 100:.0f}%"


Rows = list[list[str]]


def _cell(result: Result, scenario: Scenario, figure: Figure, server: str) -> str:
    values = result.values(figure.name, server)
    if not values:
        return "failed" if result.of(scenario.name, server) else "-"
    failed = len(result.of(scenario.name, server)) - len(values)
    return spread(values.values()) + (f", {failed} failed" if failed else "")


def _verdict(figure: Figure, value: float) -> str:
    assert figure.floor is not None
    assert figure.aim is not None
    sign = 1 if figure.better == "higher" else -1
    if sign * value >= sign * figure.aim:
        return "aim reached"
    return "floor held" if sign * value >= sign * figure.floor else "BELOW THE FLOOR"


def targets(result: Result) -> Rows:
    """Penstock against what it has to reach, and against what the machine allows."""
    rows = [["row", "unit", US, "floor", "aim", "", "nearest limit", "share of it"]]
    for figure in _wanted(result):
        value = result.median(figure.name, US)
        cells = [figure.title, figure.unit, "failed", number(figure.floor or 0), number(figure.aim or 0), "", "-", "-"]
        if value is not None:
            cells[2] = spread(result.values(figure.name, US).values())
            cells[5] = _verdict(figure, value)
            limit = nearest(result.bounds(figure.name), figure.better)
            if limit is not None:
                cells[6] = f"{limit.name}: {number(limit.value)}"
                cells[7] = f"{share(figure, value, limit) * 100:.0f}%"
        rows.append(cells)
    least = min((statistics.median(each) for each in wide(result).values()), default=None)
    if least is not None:
        figure = Figure("wide", "", "", "higher", WIDE_FLOOR, WIDE_AIM)
        rows.append(
            ["10,000 open shards: slowest scenario, share of its rate at 8 shards", "ratio", number(least), number(WIDE_FLOOR),
             number(WIDE_AIM), _verdict(figure, least), "-", "-"]
        )  # fmt: skip
    return rows


def share(figure: Figure, value: float, limit: Bound) -> float:
    """How much of a limit was reached."""
    return value / limit.value if figure.better == "higher" else limit.value / value


def _wanted(result: Result) -> list[Figure]:
    """The figures with a target."""
    return [figure for scenario in result.scenarios for figure in scenario.figures if figure.floor is not None]


def wide(result: Result) -> dict[str, list[float]]:
    """For each scenario with 10,000 shards: its rate over that with 8, by round."""
    found = {}
    for name, narrow in WIDE.items():
        many, few = result.values(name, US), result.values(narrow, US)
        ratios = [many[turn] / few[turn] for turn in sorted(many.keys() & few.keys())]
        if ratios:
            found[name] = ratios
    return found


def wide_rows(result: Result) -> Rows:
    """10,000 shards against 8."""
    return [["scenario", "10,000 shards", "8 shards", "ratio"]] + [
        [name, spread(result.values(name, US).values()), spread(result.values(WIDE[name], US).values()), spread(ratios)]
        for name, ratios in wide(result).items()
    ]


def advantages(result: Result) -> Rows:
    """How many times better Penstock did than the best peer of each row, and in memory and unverified as that is."""
    rows = [["row", "best peer", "its figure", f"{US} is better by", f"{MEMORY} is better by"]]
    for figure in _wanted(result):
        peer = result.best_peer(figure)
        if peer is None:
            rows.append([figure.title, "none can do it", "-", "-", "-"])
            continue
        found = [result.ratios(figure, server, peer) for server in (US, MEMORY)]
        theirs = f"{spread(result.values(figure.name, peer).values())} {figure.unit}"
        rows.append([figure.title, peer, theirs, *(spread(each, "x") if each else "-" for each in found)])
    return rows


def figures(result: Result) -> Rows:
    """Each server's figures; the first row is the head."""
    head = ["figure", "unit", *result.servers]
    rows = [head]
    for scenario in result.scenarios:
        if scenario.measure is None or scenario.parts <= {Part.US, Part.TLS}:
            continue
        for figure in scenario.figures:
            unit = f"{figure.unit}, {figure.better} is better"
            rows.append([figure.name, unit, *(_cell(result, scenario, figure, server) for server in result.servers)])
    return rows


def own(result: Result, chosen: Callable[[Scenario], bool]) -> Rows:
    """The figures of scenarios that only we are measured in."""
    rows = [["room", "figure", "", "unit", "median"]]
    for scenario in filter(chosen, result.scenarios):
        for figure in scenario.figures:
            for server in (each.name for each in result.subjects if each.part in (Part.US, Part.TLS)):
                if result.of(scenario.name, server):
                    cell = _cell(result, scenario, figure, server)
                    rows.append([scenario.room, figure.name, figure.title, figure.unit, cell])
        if not any(result.of(scenario.name, each.name) for each in result.subjects) and result.of(scenario.name, US):
            rows += [
                [scenario.room, each.name, each.title, each.unit, _cell(result, scenario, each, US)]
                for each in scenario.figures
            ]
    return rows


def limit_rows(result: Result) -> Rows:
    """Every limit of every row."""
    rows = [["row", "unit", "limits, the nearest first"]]
    for figure in FIGURES.values():
        found = result.bounds(figure.name)
        if found and result.values(figure.name, US):
            found.sort(key=lambda bound: bound.value, reverse=figure.better == "lower")
            rows.append([figure.name, figure.unit, ", ".join(f"{each.name} {number(each.value)}" for each in found)])
    return rows


def loads(result: Result) -> Rows:
    """What each load cost: the cores that each side kept busy, CPU for each answer, memory."""
    rows = [
        [
            "scenario",
            "server",
            "CPU us/answer",
            "server cores",
            "client cores",
            "other cores",
            "steady MiB",
            "peak MiB",
            "headroom",
        ]
    ]
    for scenario in result.scenarios:
        for server in [*result.servers, NULL]:
            found = [
                each.load
                for each in result.of(scenario.name, server)
                if each.load is not None and not each.load.failures
            ]
            if found and scenario.parts > {Part.US}:
                headroom = _headroom(result, scenario.figures[0], server)
                shown = "-" if headroom is None else f"{number(headroom)}x"
                rows.append([scenario.name, server, *_load_cells(found), shown])
    return rows


def _load_cells(found: list[Outcome]) -> list[str]:
    def middle(of: Callable[[Outcome], float]) -> str:
        return number(statistics.median(of(load) for load in found))

    return [
        middle(lambda load: load.server_cores * load.window_s / max(1, load.answers) * 1e6),
        middle(lambda load: load.server_cores),
        middle(lambda load: load.client_cores),
        middle(lambda load: load.other_cores),
        middle(lambda load: load.server_rss_mib),
        middle(lambda load: load.server_peak_mib),
    ]


def _headroom(result: Result, figure: Figure, server: str) -> float | None:
    """How many times better the client does against the responder that does nothing than against a server."""
    ceiling, value = result.median(figure.name, NULL), result.median(figure.name, server)
    if ceiling is None or value is None or server == NULL:
        return None
    return ceiling / value if figure.better == "higher" else value / ceiling


def ceilings(result: Result) -> list[str]:
    """For each load with a rate: what the client can do, and whether it or the server was the limit."""
    sentences = []
    for scenario in result.scenarios:
        figure = scenario.figures[0]
        headroom, ceiling = _headroom(result, figure, US), result.median(figure.name, NULL)
        if headroom is None or ceiling is None or figure.better == "lower":
            continue
        limit = "the server was the limit" if headroom >= HEADROOM_MIN else "the client may have been the limit"
        sentences.append(
            f"{scenario.name}: client ceiling {number(ceiling)} {figure.unit}, {number(headroom)} times what {US} reached, so {limit}."
        )
    return sentences


def audits(result: Result) -> Rows:
    """Whether what was acknowledged could be read back, over all rounds and scenarios."""
    rows = [["server", "acknowledged", "readable", "verdict"]]
    for server in result.servers:
        found = [run.measured.audit for run in result.runs if run.server == server and run.measured.audit is not None]
        if found:
            rows.append([server, *audit_cells(found)])
    return rows


def audit_cells(found: list[Audit]) -> list[str]:
    """Of several audits: acknowledged, readable, and what that means."""
    cut = [each for each in found if not each.complete]
    whole = [each for each in found if each.complete]
    acknowledged, readable = sum(each.acknowledged for each in whole), sum(each.readable for each in whole)
    missing = sum(max(0, each.acknowledged - each.readable) for each in whole)
    verdict = (
        f"{missing:,} of the acknowledged records are MISSING" if missing else "every acknowledged record is there"
    )
    if cut:
        verdict += f"; {len(cut)} of {len(found)} audits not counted to the end: {cut[0].note}"
    return [f"{acknowledged:,}", f"{readable:,}", verdict if whole else verdict.partition("; ")[2]]


def disturbance(result: Result) -> str:
    """What other processes of the machine used while loads ran."""
    used = [run.measured.load.other_cores for run in result.runs if run.measured.load is not None]
    if not used:
        return "not measured"
    advice = "; rates are lower, and spreads wider, than on a quiet machine" if max(used) > DISTURBED_CORES else ""
    middle = statistics.median(used)
    return f"other processes used {number(middle)} cores ({number(min(used))} .. {number(max(used))}) while loads ran{advice}"


def problems(result: Result) -> list[str]:
    """What did not take part, and what failed; the same failure once."""
    absent = [f"{each.name} {each.version}: not run, {each.problem}" for each in result.subjects if each.problem]
    failed: dict[tuple[str, str], str] = {}
    for run in result.runs:
        if run.measured.failure is not None:
            failed.setdefault((run.server, run.scenario), f"round {run.round}: {run.measured.failure}")
    return absent + [f"{server}, {scenario}, {what}" for (server, scenario), what in failed.items()]


def show(result: Result, console: Console) -> None:
    """Print the tables."""
    sections = {
        "Penstock against its targets": targets(result),
        "Penstock against the best peer: ratio within a round": advantages(result),
        "Every server": figures(result),
        "The rooms, and the transports": own(result, lambda each: each.parts <= {Part.US, Part.TLS}),
        "Audit": audits(result),
    }
    for title, (head, *rows) in sections.items():
        if rows:
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
    if not body:
        return "Not measured in this run."
    lines = [head, ["---"] * len(head), *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def write_page(result: Result) -> list[Path]:
    """Write the page for the docs, with its pictures; what was written."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    pictures = {"servers.svg": _servers_picture(result), "limits.svg": _limits_picture(result)}
    for name, picture in pictures.items():
        (PICTURES / name).write_text(picture)
    PAGE.write_text(page(result))
    return [PAGE, *(PICTURES / name for name in pictures)]


def _servers_picture(result: Result) -> str:
    panels = []
    for figure in _wanted(result):
        bars = [
            plots.Bar(server, value, list(result.values(figure.name, server).values()), server == US)
            for server in result.servers
            if (value := result.median(figure.name, server)) is not None
        ]
        if bars:
            panels.append(plots.Panel(figure.title, figure.unit, figure.better, bars))
    return plots.panels(panels, "Every server, median of the rounds (dots: the rounds)")


def _limits_picture(result: Result) -> str:
    rows = []
    for figure in _wanted(result):
        limit, value = nearest(result.bounds(figure.name), figure.better), result.median(figure.name, US)
        if limit is not None and value is not None:
            marks = [share(figure, each, limit) for each in (figure.floor, figure.aim) if each is not None]
            rows.append(plots.Share(figure.title, limit.name, share(figure, value, limit), marks))
    return plots.shares(rows, "How much of the nearest limit of the machine Penstock reaches (marks: floor, aim)")


def page(result: Result) -> str:
    """The page for the docs."""
    machine, timing = result.machine, result.timing
    subjects = [each for each in result.subjects if each.part != Part.NULL]
    nothing = ["Every server took part and no request failed."]
    return f"""# Benchmarks

Written by `{result.command}`; do not edit.  `make bench` measures anew, `python -m bench --help` explains.

| | |
| --- | --- |
| date, commit | {result.date}, {result.commit} |
| machine | {machine.processor}, {machine.cores} cores shared by server and client, {machine.memory_gib} GiB, {machine.system}, \
Python {machine.python}; load average {machine.load_average:.2f} at the start |
| rounds | {result.rounds}, the servers taking turns within each |
| each measurement | a fresh server process and stream, {timing.warmup_s:g} s of warm-up, {timing.window_s:g} s of measurement \
(up to {STRETCH_MAX} times as long for a server that answers fewer than {ANSWERS_MIN} requests in it) |
| disturbance | {disturbance(result)} |

`{US}` keeps records on disk (fdatasync before each answer) and verifies every signature and policy.  `{OPEN}` verifies nothing,
`{MEMORY}` verifies nothing and keeps records in memory, as all peers do.  A figure is the median of the rounds; ± is the farthest round.

## Against the targets

{_markdown(targets(result))}

The nearest limit is what one core alone could do of the row's most expensive physical part, measured in the same run.

![Shares of limits](benchmarks/limits.svg)

## Against the best peer

How many times better in the same round; below 1 the peer did better.  The best peer of each row holds everything in memory, unverified.

{_markdown(advantages(result))}

![Every server](benchmarks/servers.svg)

## Every server

{_markdown(figures(result))}

{_bullets([f"`{each.name}`: {each.title}." for each in result.scenarios if each.parts > {Part.US}])}

## Many shards

{_markdown(wide_rows(result))}

## The rooms below the server

A regression shows in the room that it came from.

{_markdown(own(result, lambda each: each.measure is None))}

## Transports, and the rest

One signed request, sent over and over by nghttp2's h2load, to a server with TLS; h2load is also a second witness of our own load generator.

{_markdown(own(result, lambda each: each.measure is not None and each.parts <= {Part.US, Part.TLS} and each.name not in WIDE))}

## Limits of the machine

{_markdown(limit_rows(result))}

Loopback is what the same client reaches against a responder that reads requests and answers fixed bytes (`null`).

## Was the client the limit?

{_bullets(ceilings(result))}

The client checks every answer: its status, that no record failed, and the number of records.

<details><summary>What each load cost: CPU and memory of whole process trees, medians</summary>

{_markdown(loads(result))}

Cores are CPU seconds per second.  Steady is resident memory as the window closed, peak the most until then.

</details>

## Are the records there?

After loads of puts (of others than `{US}` in the first round only) all shards are read, and counted.
Those of 10,000 shards are not, since that takes too long.

{_markdown(audits(result))}

## What is compared

{_bullets([f"`{each.name}` {each.version}: `{each.how}`." for each in subjects])}

Every server runs on 127.0.0.1 and gets the same requests.  Penstock runs without AWS's throughput limits, as it does by default; the
peers do not enforce them either.  The peers are made for tests of moderate size, not for throughput.

## What did not work

{_bullets(problems(result) or nothing)}
"""


def _bullets(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
