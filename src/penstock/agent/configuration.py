"""agent.json, with the further files of agent.d: flows made ready, and everything that is wrong with them.

Theory.  The file named is read first, then `agent.d/*.json` beside it, by name: their flows are added, and their other keys count where the
first file has none.
Rules of this file:
  1. A problem names the file, the flow and the key.  All are found in one go.
  2. What needs a file system is `read_files`; the rest is pure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from penstock.agent.delivery import key_bytes
from penstock.agent.expression import BadExpression, Expression, compile_expression
from penstock.agent.flow import Plan
from penstock.agent.pattern import BadPattern, FilePattern, read_pattern
from penstock.agent.processing import BadOption, Chain, converters
from penstock.agent.settings import RECORD_MAX_BYTES, FlowSettings, GlobalSettings, Problem, read_flow, read_global
from penstock.agent.source import Rules
from penstock.core.limits import MIB
from penstock.core.ports import Clock

FILE_MAX_BYTES: Final = 4 * MIB
EXTRA_FOLDER: Final = "agent.d"


class Document(NamedTuple):
    """A file of the configuration."""

    name: str
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Configuration:
    """Everything that was read."""

    settings: GlobalSettings
    plans: Sequence[Plan]
    problems: Sequence[Problem]

    @property
    def usable(self) -> bool:
        """Whether an agent can run with it."""
        return not any(problem.fatal for problem in self.problems)


def read_files(path: Path) -> tuple[list[Document], list[Problem]]:
    """The documents of a configuration file and of `agent.d` beside it."""
    documents: list[Document] = []
    problems: list[Problem] = []
    extra = path.parent / EXTRA_FOLDER
    for place in [path, *(sorted(extra.glob("*.json")) if extra.is_dir() else [])]:
        read = _read_file(place)
        if isinstance(read, Problem):
            problems.append(read)
        else:
            documents.append(read)
    return documents, problems


def _read_file(path: Path) -> Document | Problem:
    try:
        if path.stat().st_size > FILE_MAX_BYTES:
            return Problem(str(path), f"is larger than {FILE_MAX_BYTES >> 20} MiB")
        values = msgspec.json.decode(path.read_bytes())
    except OSError as error:
        return Problem(str(path), f"cannot be read: {error.strerror}")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return Problem(str(path), f"is no JSON: {error}")
    return Document(str(path), values) if isinstance(values, dict) else Problem(str(path), "must hold a JSON object")


def configure(documents: Sequence[Document], clock: Clock) -> Configuration:
    """What the documents mean."""
    merged: dict[str, Any] = {}
    for document in documents:
        merged = {**document.values, **merged}
    name = documents[0].name if documents else ""
    settings, problems = read_global(merged, name)
    plans: list[Plan] = []
    for document in documents:
        flows = document.values.get("flows", [])
        if not isinstance(flows, list) or not all(isinstance(flow, dict) for flow in flows):
            problems.append(Problem(document.name, "flows must be an array of objects"))
            continue
        for place, flow in enumerate(flows):
            plan, found = plan_flow(flow, f"{document.name}: flows[{place}]", clock)
            problems += found
            plans += [plan] if plan is not None else []
    problems += _repeated(plans, name)
    if not plans and not any(problem.fatal for problem in problems):
        problems.append(Problem(name, "flows is missing or empty: there is nothing to do"))
    return Configuration(settings, plans, problems)


def plan_flow(document: Mapping[str, Any], where: str, clock: Clock) -> tuple[Plan | None, list[Problem]]:
    """One flow made ready, or None and why it cannot be."""
    settings, problems = read_flow(document, where)
    pattern = _pattern(settings, where, problems)
    start = _expression(settings.multi_line_start, "multiLineStartPattern", where, problems)
    footer = _expression(settings.footer, "fileFooterPattern", where, problems)
    chain = _chain(settings, where, clock, problems)
    if pattern is None or chain is None or any(problem.fatal for problem in problems):
        return None, problems
    rules = Rules(record_max_bytes(settings), settings.truncated_end.encode(), settings.header_lines, footer, start)
    return Plan(settings, pattern, rules, chain), problems


def record_max_bytes(settings: FlowSettings) -> int:
    """Most bytes of a record's data: Kinesis counts the key, too."""
    deterministic = settings.partition_key == "DETERMINISTIC"
    kinesis = settings.destination == "kinesis"
    return RECORD_MAX_BYTES[settings.destination] - key_bytes(kinesis=kinesis, deterministic=deterministic)


def _pattern(settings: FlowSettings, where: str, problems: list[Problem]) -> FilePattern | None:
    if not settings.file_pattern:
        return None
    try:
        return read_pattern(settings.file_pattern)
    except BadPattern as error:
        problems.append(Problem(where, f"filePattern {error}"))
        return None


def _expression(pattern: str, key: str, where: str, problems: list[Problem]) -> Expression | None:
    if not pattern:
        return None
    try:
        return compile_expression(pattern)
    except BadExpression as error:
        problems.append(Problem(where, f"{key} {pattern!r:.80}: {error}"))
        return None


def _chain(settings: FlowSettings, where: str, clock: Clock, problems: list[Problem]) -> Chain | None:
    try:
        made = converters(settings.processing, clock)
    except BadOption as error:
        problems.append(Problem(where, f"dataProcessingOptions{error}"))
        return None
    return Chain(made, record_max_bytes(settings), settings.truncated_end.encode())


def _repeated(plans: Sequence[Plan], where: str) -> list[Problem]:
    ids = [plan.settings.flow_id for plan in plans]
    twice = sorted({flow_id for flow_id in ids if ids.count(flow_id) > 1})
    return [Problem(where, f"the flow {flow_id} is there twice: their checkpoints would be one") for flow_id in twice]
