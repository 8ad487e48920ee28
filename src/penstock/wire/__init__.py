"""Bytes to operations and back, sans-IO."""
