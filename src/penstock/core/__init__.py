"""Values and tables: no I/O, no time, no chance."""
