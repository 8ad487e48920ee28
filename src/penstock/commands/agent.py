"""`penstock agent`: files to streams, as agent.json says.

Rule of this file: it reads the configuration, shows what is wrong with it, and runs agents until somebody ends them.
"""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Final

import click
from botocore.exceptions import BotoCoreError

from penstock.agent.caller import Account
from penstock.agent.checkpoints import CheckpointError
from penstock.agent.configuration import Configuration, configure, read_files
from penstock.agent.running import Agent, Ending
from penstock.agent.settings import GlobalSettings, Problem
from penstock.host.clock import SystemClock
from penstock.host.entropy import SystemEntropy
from penstock.host.tasks import LoopTasks

logger = logging.getLogger("penstock.agent")

EXIT_CONFIGURATION: Final = 2
_LEVELS: Final = {"TRACE": logging.DEBUG, "WARN": logging.WARNING}


@dataclass(frozen=True, slots=True)
class Options:
    """The options of `penstock agent`."""

    config: Path
    check: bool = False
    once: bool = False


def run(options: Options) -> int:
    """Run until a signal comes; the exit code."""
    configuration = _read(options.config)
    if options.check:
        from penstock.commands.agent_check import check

        check(configuration.plans)
        _complain(configuration.problems)
        return 0 if configuration.usable else EXIT_CONFIGURATION
    if not configuration.usable:
        _complain(configuration.problems)
        return EXIT_CONFIGURATION
    try:
        _log_to(configuration.settings)
    except OSError as error:
        return _say(f"log.file {configuration.settings.log_file} cannot be written: {error.strerror}")
    for problem in configuration.problems:
        logger.warning("%s: %s", *problem[:2])
    try:
        code = asyncio.run(_serve(configuration, options))
    except (CheckpointError, BotoCoreError) as error:  # the latter: of AWS's configuration files
        return _say(str(error))
    logging.shutdown()
    sys.stdout.flush()
    os._exit(code)  # a request that hangs must not hold up the end


def _read(path: Path) -> Configuration:
    documents, problems = read_files(path)
    found = configure(documents, SystemClock()) if documents else Configuration(GlobalSettings(), (), ())
    return Configuration(found.settings, found.plans, (*problems, *found.problems))


async def _serve(configuration: Configuration, options: Options) -> int:
    """Run one agent after the other, each with the configuration that was read last."""
    waiting = [configuration]
    ending = Ending.STOPPED
    while waiting:
        configuration = waiting.pop()
        agent = Agent(
            configuration, Account(configuration.settings, os.environ), SystemClock(), SystemEntropy(), LoopTasks()
        )
        _heed_signals(agent, options, waiting)
        try:
            ending = await agent.run(once=options.once)
        finally:
            await agent.close()
    return int(ending is Ending.GAVE_UP)


def _heed_signals(agent: Agent, options: Options, waiting: list[Configuration]) -> None:
    loop = asyncio.get_running_loop()

    def reload() -> None:
        read = _read(options.config)
        if not read.usable:
            logger.error("the configuration cannot be used; the old one stays")
            for problem in read.problems:
                logger.error("%s: %s", *problem[:2])
            return
        logger.info("the configuration was read anew")
        waiting[:] = [read]
        agent.end(Ending.RELOAD)

    def stop() -> None:
        waiting.clear()
        agent.end(Ending.STOPPED)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    loop.add_signal_handler(signal.SIGHUP, reload)


def _log_to(settings: GlobalSettings) -> None:
    handler: logging.Handler
    if settings.log_file:
        handler = RotatingFileHandler(
            settings.log_file, maxBytes=settings.log_max_bytes, backupCount=settings.log_backups
        )
    else:
        handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_OneLine("%(asctime)s %(levelname)s %(message)s"))
    level = _LEVELS.get(settings.log_level) or logging.getLevelNamesMapping()[settings.log_level]
    logging.raiseExceptions = False  # a log on a full disk must not be a second trouble
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.getLogger("botocore").setLevel(logging.CRITICAL)  # what fails is told once, by who asked
    logging.getLogger("urllib3").setLevel(logging.ERROR)


class _OneLine(logging.Formatter):
    """A message is a line, whatever the names of files and the answers of servers hold."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """The line, with escapes for what is not printable."""
        return _printable(super().formatMessage(record))


def _complain(problems: Sequence[Problem]) -> None:
    for problem in problems:
        _say(f"{'' if problem.fatal else 'warning: '}{problem.where}: {problem.text}")


def _say(text: str) -> int:
    """A line on standard error; the exit code of what could not begin.  Not paper.py's: rich would be a tenth of the memory."""
    click.echo(f"penstock: {_printable(text)}", err=True)
    return 1


def _printable(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)
