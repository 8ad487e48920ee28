"""The deterministic twin of host/: time, tasks and a disk that forgets what was not synced, all drawn from one seed."""
