"""One run of the demo: feed for a while, read to the end, judge.

Theory.  The main thread only watches.  The first interrupt means "enough": it ends the feeding, and what is under way is still read and
judged.  Whatever happens, what was begun is undone in reverse: threads, stream, server.
"""

import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Final

import click

from penstock.demo.feeder import Feeder
from penstock.demo.fleet import Fleet
from penstock.demo.lake import Lake, missing_modules
from penstock.demo.machine import Machine
from penstock.demo.options import DemoError, Options
from penstock.demo.place import connect, new_name, own_server, own_stream
from penstock.demo.progress import Progress
from penstock.demo.screen import View, open_view
from penstock.host.clock import monotonic_s

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient

WATCH_EVERY_S: Final = 0.05
STALL_MAX_S: Final = 30.0  # while nothing more is fed: without one record read
JOIN_MAX_S: Final = 5.0
CONNECTIONS: Final = 4
ENDPOINT_VARIABLES: Final = (
    "AWS_ENDPOINT_URL_KINESIS",
    "AWS_ENDPOINT_URL",
)  # as the SDKs read them, the first that is set


def run(options: Options) -> int:
    """Run the demo; the exit code.  Raises DemoError and KeyboardInterrupt as `penstock.demo.run` does."""
    given = options.endpoint or next((os.environ[name] for name in ENDPOINT_VARIABLES if os.environ.get(name)), None)
    name = options.stream or new_name()
    try:
        with _interrupts(), ExitStack() as stack:
            folder = options.lake or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="penstock-lake-")))
            endpoint = given or stack.enter_context(own_server(folder))
            client = connect(endpoint, CONNECTIONS, ours=given is None)
            stack.enter_context(own_stream(client, name, options.shards))
            lake = _open_lake(client, name, folder, ours=given is None, wanted=options.lake is not None)
            title = f"This machine's metrics through stream {name}"
            place = endpoint if given else f"{endpoint} (started for the demo)"
            view = open_view(title, place, options.seconds)
            return _Session(client, name, options, view, lake, ours=given is None).run()
    except KeyboardInterrupt:
        click.echo("Stopped; nothing was checked.")
        raise
    except BrokenPipeError:  # whoever read our output has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


class _Session:
    """The threads of one run, and who watches them."""

    def __init__(
        self, client: "KinesisClient", stream: str, options: Options, view: View, lake: Lake | None, *, ours: bool
    ) -> None:
        self._options = options
        self._lake = lake
        self._view = view
        self._progress = Progress()
        self._feeder = Feeder(client, stream, options.rate, self._progress, Machine().readings())
        self._fleet = Fleet(client, stream, self._progress, ours=ours)
        self._started_s = monotonic_s()

    def run(self) -> int:
        """Feed, read, judge; the exit code."""
        progress = self._progress
        try:
            with self._view:
                self._started_s = monotonic_s()
                self._fleet.start()
                self._feeder.start()
                with suppress(KeyboardInterrupt):
                    self._watch_feeding()
                fed_s = self._elapsed_s()
                progress.stop_feeding.set()
                self._watch_draining()
                self._view.finish(self._elapsed_s(), progress.snapshot())
        finally:
            progress.halt.set()
            self._feeder.join(JOIN_MAX_S)
            self._fleet.stop()
        return self._judge(fed_s)

    def _watch_feeding(self) -> None:
        seconds = self._options.seconds
        while not self._progress.halt.is_set() and (seconds is None or self._elapsed_s() < seconds):
            self._show(feeding=True)
            self._fleet.kill_one(self._elapsed_s())
            self._progress.halt.wait(WATCH_EVERY_S)

    def _watch_draining(self) -> None:
        progress = self._progress
        left, since_s = progress.outstanding, monotonic_s()
        while not progress.halt.is_set() and self._fleet.running:
            self._show(feeding=False)
            progress.halt.wait(WATCH_EVERY_S)
            if progress.outstanding != left:
                left, since_s = progress.outstanding, monotonic_s()
            elif monotonic_s() - since_s > STALL_MAX_S:
                break

    def _show(self, *, feeding: bool) -> None:
        self._view.show(self._elapsed_s(), self._progress.snapshot(), feeding=feeding)

    def _elapsed_s(self) -> float:
        return monotonic_s() - self._started_s

    def _judge(self, fed_s: float) -> int:
        """Say in one line what became of the records; the exit code."""
        snapshot, verdict = self._progress.snapshot(), self._progress.verdict()
        rate = f"{verdict.sent / max(fed_s, 0.001):,.0f}/s for {fed_s:.1f} s, {len(snapshot.shards)} shards"
        again = f", {snapshot.refused:,} put again after a refusal" if snapshot.refused else ""
        again += f"; {snapshot.event}" if snapshot.event else ""
        again += f", {snapshot.again:,} records were read again" if snapshot.again else ""
        good = verdict.good and snapshot.failure is None
        text = str(verdict)
        if snapshot.failure is not None:  # what was not read then is no loss
            total = snapshot.total
            text = (
                f"{snapshot.failure} ({total.put_records:,} records were put until then, {total.read_records:,} read)"
            )
        word = click.style("OK", fg="green", bold=True) if good else click.style("FAILED", fg="red", bold=True)
        click.echo(f"{word}: {text} ({rate}{again})")
        if self._lake is not None and snapshot.failure is None:
            good = self._lake.judge(verdict.sent) and good
        return 0 if good else 1


def _open_lake(client: "KinesisClient", stream: str, folder: Path, *, ours: bool, wanted: bool) -> Lake | None:
    """The lake of a server of our own, where what it needs is installed.  Raises DemoError if it is asked for and cannot be."""
    missing = missing_modules()
    if not ours or missing:
        if wanted and not ours:
            raise DemoError("--lake needs a server of the demo's own: give no --endpoint (unset AWS_ENDPOINT_URL)")
        if wanted:
            raise DemoError(f"--lake needs {', '.join(missing)}: pip install 'penstock[demo]'")
        return None
    lake = Lake(client, stream, folder)
    lake.open()
    return lake


@contextmanager
def _interrupts() -> Iterator[None]:
    """Let a request to end (SIGTERM), and a terminal that closes (SIGHUP), count as Ctrl-C."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    numbers = [signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
    before = [(number, signal.signal(number, interrupt)) for number in numbers]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)
