"""The machine gives readings."""

import os
from itertools import takewhile

from penstock.demo.machine import Machine


def test_readings_go_round_the_machine() -> None:
    readings = Machine().readings()
    first = next(readings)
    sweep = {first.key: first.fields}
    sweep.update((key, fields) for key, fields in takewhile(lambda reading: reading.key != first.key, readings))

    assert first.key == "cpu:0"
    assert {"percent", "user_s", "system_s", "idle_s"} == sweep["cpu:0"].keys()
    assert int(sweep["memory"]["used_bytes"]) > 0
    assert int(sweep[f"proc:{os.getpid()}"]["resident_bytes"]) > 1_000_000
