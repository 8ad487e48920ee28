"""What tests take for granted of no machine: its speed, and how they were started.  pyproject.toml loads this."""

import signal

from hypothesis import HealthCheck, settings

# Laws hold however long an example takes, or takes to be drawn.
settings.register_profile("any_machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any_machine")

# What is started in a shell's background ignores Ctrl-C, and so would the programs that tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)
