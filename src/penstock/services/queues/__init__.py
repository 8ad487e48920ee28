"""SQS: standard queues, where what could not be delivered goes."""
