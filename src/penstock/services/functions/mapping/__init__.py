"""Event source mappings: streams whose records are given to functions."""
