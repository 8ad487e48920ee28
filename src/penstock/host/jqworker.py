"""The process in which users' programs of jq run: frames of work on standard input, frames of results on standard output.

It is run as a file by itself, without this package, in an empty environment: there is nothing in it that a program could find or break.
Each record has so much processor time, and the process so much memory; what wants more is killed by the kernel, and the parent sees the
end, and in a file that both have the number of the record that it came with.
"""

import json
import os
import resource
import struct
import sys
from signal import ITIMER_PROF, setitimer
from typing import Any, BinaryIO, Final

import jq
import msgspec

MEMORY_MAX_BYTES: Final = 768 << 20
PROGRAMS_KEPT: Final = 64
NO_MEMORY: Final = 77  # exit code, by which the parent tells this end from a fault
LENGTH: Final = struct.Struct(">I")
PROGRESS: Final = struct.Struct("=i")  # all that is in that file: the record that is worked on, of those of a frame

Answer = tuple[list[str], str | None]


def answer(program: Any, record: str) -> Answer:
    """The results of one record, in JSON, and why there are no more."""
    texts: list[str] = []
    try:
        texts.extend(json.dumps(result) for result in program.input_text(record))
    except ValueError as problem:
        return texts, str(problem)
    return texts, None


def answer_all(program: Any, records: list[str], progress: int, record_cpu_s: float) -> list[Answer]:
    """The results of each record."""
    answers: list[Answer] = []
    for number, record in enumerate(records):
        _begin(progress, number, record_cpu_s)
        answers.append(answer(program, record))
    return answers


def compiled(programs: dict[str, Any], text: str) -> Any:
    """A program, kept for the next frame.  Raises ValueError."""
    if text not in programs:
        if len(programs) >= PROGRAMS_KEPT:
            programs.clear()
        programs[text] = jq.compile(text)
    return programs[text]


def main(source: BinaryIO, target: BinaryIO, record_cpu_s: float, progress: int) -> None:
    """Work until the parent goes; each record has `record_cpu_s` of processor time."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MAX_BYTES, MEMORY_MAX_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    programs: dict[str, Any] = {}
    while len(head := source.read(LENGTH.size)) == LENGTH.size:
        text, records = msgspec.msgpack.decode(source.read(*LENGTH.unpack(head)), type=tuple[str, list[str]])
        _begin(progress, 0, record_cpu_s)  # a program may want all memory when it is compiled
        try:
            results = msgspec.msgpack.encode(answer_all(compiled(programs, text), records, progress, record_cpu_s))
        except ValueError as problem:  # it is no program
            results = msgspec.msgpack.encode(str(problem))
        setitimer(ITIMER_PROF, 0)
        target.write(LENGTH.pack(len(results)) + results)
        target.flush()


def _begin(progress: int, number: int, cpu_s: float) -> None:
    """Begin with a record: tell its number, and set its time, at whose end the kernel ends the process."""
    os.pwrite(progress, PROGRESS.pack(number), 0)
    setitimer(ITIMER_PROF, cpu_s)


if __name__ == "__main__":
    try:
        main(sys.stdin.buffer, sys.stdout.buffer, float(sys.argv[1]), int(sys.argv[2]))
    except MemoryError:
        sys.exit(NO_MEMORY)
