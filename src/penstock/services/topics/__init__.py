"""SNS: topics that tell queues."""
