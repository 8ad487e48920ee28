"""The process in which users' programs of jq run: frames of work on standard input, frames of results on standard output.

It is run as a file by itself, without this package, in an empty environment: there is nothing in it that a program could find or break.
Each batch has so much processor time, and the process so much memory; what wants more is killed by the kernel, and the parent sees the end.
"""

import json
import resource
import struct
import sys
from typing import Any, BinaryIO, Final

import jq
import msgspec

MEMORY_MAX_BYTES: Final = 768 << 20
PROGRAMS_KEPT: Final = 64
NO_MEMORY: Final = 77  # exit code, by which the parent tells this end from a fault
LENGTH: Final = struct.Struct(">I")

Answer = tuple[list[str], str | None]


def answer(program: Any, record: str) -> Answer:
    """The results of one record, in JSON, and why there are no more."""
    texts: list[str] = []
    try:
        texts.extend(json.dumps(result) for result in program.input_text(record))
    except ValueError as problem:
        return texts, str(problem)
    return texts, None


def main(source: BinaryIO, target: BinaryIO, batch_cpu_s: int) -> None:
    """Work until the parent goes; each batch has `batch_cpu_s` of processor time."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MAX_BYTES, MEMORY_MAX_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    programs: dict[str, Any] = {}
    while len(head := source.read(LENGTH.size)) == LENGTH.size:
        text, records = msgspec.msgpack.decode(source.read(*LENGTH.unpack(head)), type=tuple[str, list[str]])
        _allow(batch_cpu_s)
        if text not in programs:
            if len(programs) >= PROGRAMS_KEPT:
                programs.clear()
            programs[text] = jq.compile(text)
        results = msgspec.msgpack.encode([answer(programs[text], record) for record in records])
        target.write(LENGTH.pack(len(results)) + results)
        target.flush()


def _allow(more_s: int) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    spent_s = int(used.ru_utime + used.ru_stime) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (spent_s + more_s, resource.RLIM_INFINITY))


if __name__ == "__main__":
    try:
        main(sys.stdin.buffer, sys.stdout.buffer, int(sys.argv[1]))
    except MemoryError:
        sys.exit(NO_MEMORY)
