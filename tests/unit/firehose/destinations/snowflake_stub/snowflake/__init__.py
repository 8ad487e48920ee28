"""The stub's package."""
