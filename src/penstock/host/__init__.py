"""The only code that touches clock, disk, threads and randomness."""
