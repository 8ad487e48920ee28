"""The operations of Firehose, by resource."""
