"""The operations of SQS, by resource."""
