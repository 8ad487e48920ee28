"""The machine as a source of records: one reading after another, for as long as somebody asks.

Theory.  A sweep reads every processor core, memory, swap, disk, network interface and process once and gives each a reading of its
own; then the next sweep begins.  So the readings of a key are spread as evenly as they can be, and a reading is as old as the record
that carries it.  What costs more, or means nothing over a few milliseconds (which processes there are, load in percent), is refreshed
once a second.
"""

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import psutil

from penstock.host.clock import monotonic_s

REFRESH_S: Final = 1.0

Fields = dict[str, int | float | str]


class Reading(NamedTuple):
    """What one part of the machine said."""

    key: str  # `cpu:0`, `memory`, `disk:sda`, `proc:1234`, ...
    fields: Fields


class Machine:
    """The readings of this machine."""

    def __init__(self) -> None:
        self._percents: list[float] = []
        self._processes: list[psutil.Process] = []
        self._refreshed_s = -REFRESH_S
        self._parts = [part for part in (self._cores, _memory, _swap, _load, _disks, _interfaces) if _works(part)]

    def readings(self) -> Iterator[Reading]:
        """Readings without end."""
        while True:
            if monotonic_s() - self._refreshed_s >= REFRESH_S:
                self._refresh()
            for part in self._parts:
                yield from part()
            yield from self._rows()

    def _refresh(self) -> None:
        self._refreshed_s = monotonic_s()
        self._percents = psutil.cpu_percent(percpu=True)
        self._processes = list(psutil.process_iter())

    def _cores(self) -> Iterator[Reading]:
        for number, times in enumerate(psutil.cpu_times(percpu=True)):
            fields: Fields = {"user_s": times.user, "system_s": times.system, "idle_s": times.idle}
            if number < len(self._percents):
                fields["percent"] = self._percents[number]
            yield Reading(f"cpu:{number}", fields)

    def _rows(self) -> Iterator[Reading]:
        gone: set[int] = set()
        for process in self._processes:
            try:
                with process.oneshot():
                    times = process.cpu_times()
                    fields: Fields = {
                        "name": process.name(),
                        "cpu_s": round(times.user + times.system, 2),
                        "resident_bytes": process.memory_info().rss,
                        "threads": process.num_threads(),
                    }
            except psutil.Error:  # it ended, or is not ours to look at
                gone.add(process.pid)
                continue
            yield Reading(f"proc:{process.pid}", fields)
        if gone:
            self._processes = [process for process in self._processes if process.pid not in gone]


def _works(part: Callable[[], Iterator[Reading]]) -> bool:
    """Whether this machine (a container, say) has that part at all."""
    try:
        return any(True for _ in part())
    except (OSError, psutil.Error, RuntimeError):
        return False


def _memory() -> Iterator[Reading]:
    memory = psutil.virtual_memory()
    yield Reading("memory", {"percent": memory.percent, "used_bytes": memory.used, "available_bytes": memory.available})


def _swap() -> Iterator[Reading]:
    swap = psutil.swap_memory()
    yield Reading("swap", {"percent": swap.percent, "used_bytes": swap.used})


def _load() -> Iterator[Reading]:
    one, five, fifteen = psutil.getloadavg()
    yield Reading("load", {"minutes_1": round(one, 2), "minutes_5": round(five, 2), "minutes_15": round(fifteen, 2)})


def _disks() -> Iterator[Reading]:
    for name, disk in (psutil.disk_io_counters(perdisk=True) or {}).items():
        if disk.read_count or disk.write_count:  # leaves out the empty loop devices
            fields: Fields = {"read_bytes": disk.read_bytes, "written_bytes": disk.write_bytes}
            yield Reading(f"disk:{name}", fields)


def _interfaces() -> Iterator[Reading]:
    for name, net in (psutil.net_io_counters(pernic=True) or {}).items():
        if net.bytes_recv or net.bytes_sent:
            fields: Fields = {"received_bytes": net.bytes_recv, "sent_bytes": net.bytes_sent}
            yield Reading(f"net:{name}", fields)
