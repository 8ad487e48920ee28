"""The lease stores, each of the shape that `consumer/store.py` gives."""
