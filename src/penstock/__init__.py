"""Penstock: Amazon Kinesis on machines you own."""

__version__ = "0.1.0"  # read by the build too; asking the installed package takes 15 ms
