"""kill -9 of the agent, again and again, while files are written and rotated: every line arrives."""

import os
import threading
from pathlib import Path
from typing import Final

from agents import Reader, configure, made_stream, run, running

from penstock.host.entropy import SeededEntropy
from penstock.testing import PenstockServer

ROUNDS: Final = max(3, int(os.environ.get("PENSTOCK_KILL_ROUNDS", "3")))
LONGEST_S: Final = 0.6  # from the start of reading to the kill
ROTATE_LINES: Final = 3000


class Writer(threading.Thread):
    """Appends numbered lines and rotates by renaming, until it is stopped."""

    def __init__(self, folder: Path) -> None:
        super().__init__(daemon=True)
        self._log = folder / "app.log"
        self._folder = folder
        self._stopped = threading.Event()
        self.written = 0

    def run(self) -> None:
        file = self._log.open("ab")
        while not self._stopped.wait(0.001):
            piece = b"".join(b"%08d %s\n" % (self.written + step, b"x" * 60) for step in range(10))
            file.write(piece[:300])
            file.flush()
            file.write(piece[300:])
            file.flush()
            self.written += 10
            if self.written % ROTATE_LINES == 0:
                self._log.rename(self._folder / f"app.log.{self.written:08d}")
                file.close()
                file = self._log.open("ab")
        file.close()

    def stop(self) -> None:
        self._stopped.set()
        self.join()


def test_agent_when_killed_again_and_again_then_every_line_has_arrived_at_the_end(tmp_path: Path) -> None:
    entropy = SeededEntropy(11)
    with PenstockServer() as server:
        made_stream(server)
        server.faults.fail_puts("logs", 0.02)
        flow = {
            "filePattern": str(tmp_path / "app.log*"),  # also what is rotated while no agent runs
            "retryInitialBackoffMillis": 1,
            "retryMaxBackoffMillis": 50,
            "maxBufferSizeRecords": 200,
        }
        config = configure(tmp_path, server.endpoint_url, flow)
        writer = Writer(tmp_path)
        writer.start()
        for _ in range(ROUNDS):
            with running(config, server) as agent:
                assert agent.logged("follows")
                threading.Event().wait(entropy.fraction() * LONGEST_S)
                agent.process.kill()
                agent.process.wait()
        writer.stop()
        done = run(config, "--once", server=server)
        assert done.returncode == 0, done.stderr
        datas = Reader(server.client()).datas
        arrived = {int(data[:8]) for data in datas}
        assert all(len(data) == 70 and data.endswith(b"x\n") for data in datas), "whole lines only"
        assert arrived == set(range(writer.written))
        assert len(datas) < 3 * writer.written, "what comes twice is what was not acknowledged"
