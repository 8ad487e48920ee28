"""Processes seen from outside: trees of them, their memory, and the CPU seconds that each side of a measurement uses."""

import os
import re
import time
from pathlib import Path
from typing import NamedTuple

import psutil


def tree(pid: int) -> list[psutil.Process]:
    """A process and its descendants, those that still live."""
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def tree_cpu_s(pid: int) -> float:
    """User and system CPU seconds of a process tree."""
    return float(sum(sum(process.cpu_times()[:2]) for process in tree(pid)))


def tree_rss_mib(pid: int) -> float:
    """Resident memory of a process tree; pages that its processes share count once for each."""
    return float(sum(process.memory_info().rss for process in tree(pid))) / 2**20


def tree_peak_mib(pid: int) -> float:
    """The most resident memory that each process of a tree ever had, added up; 0 where the system does not tell."""
    peak_kib = 0
    for process in tree(pid):
        status = Path(f"/proc/{process.pid}/status")
        found = re.search(r"VmHWM:\s*(\d+) kB", status.read_text()) if status.exists() else None
        peak_kib += int(found[1]) if found is not None else 0
    return peak_kib / 2**10


class CpuTimes(NamedTuple):
    """CPU seconds since their start, user and system, of the processes that live at a moment."""

    at_s: float
    client_s: float  # this process
    server_s: float  # a process tree
    other_s: dict[int, float]  # the rest of the machine, by pid

    def until(self, end: "CpuTimes") -> "Cpu":
        """What was used from this moment to a later one; of others, by those that live at its end."""
        other_s = sum(spent_s - self.other_s.get(pid, 0.0) for pid, spent_s in end.other_s.items())
        return Cpu(end.at_s - self.at_s, end.client_s - self.client_s, end.server_s - self.server_s, other_s)


class Cpu(NamedTuple):
    """CPU seconds within a span of time."""

    span_s: float
    client_s: float
    server_s: float
    other_s: float


def cpu_times(server_pid: int | None) -> CpuTimes:
    """The CPU times of this moment.  Cost: some milliseconds."""
    server = {process.pid for process in tree(server_pid)} if server_pid is not None else set()
    others = {
        process.pid: sum(process.info["cpu_times"][:2])
        for process in psutil.process_iter(["cpu_times"])
        if process.pid not in server and process.pid != os.getpid() and process.info["cpu_times"] is not None
    }
    server_s = tree_cpu_s(server_pid) if server_pid is not None else 0.0
    return CpuTimes(time.perf_counter(), time.process_time(), server_s, others)
