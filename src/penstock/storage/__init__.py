"""Tools for data directories, beside the server: check, inspect, backup and restore.  They never change what they read."""
