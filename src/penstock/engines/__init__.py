"""Storage: what an engine is (api.py), and the engines."""
