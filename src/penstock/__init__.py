"""Penstock: Amazon Kinesis on machines you own."""
