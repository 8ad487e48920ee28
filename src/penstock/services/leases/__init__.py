"""The lease endpoint: the part of DynamoDB that consumers keep leases and checkpoints in."""
