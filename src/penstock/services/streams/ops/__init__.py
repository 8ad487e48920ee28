"""The operations of Kinesis Data Streams, by resource; each is a function named after it."""
