"""The durable engine: a journal, segments, and what ties them together.  docs/storage.md describes the files to the byte."""
