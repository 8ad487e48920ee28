"""Benchmarks of Penstock and its peers; `python -m bench --help`."""
