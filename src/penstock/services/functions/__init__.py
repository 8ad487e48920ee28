"""Lambda: functions that really run, and event source mappings."""
