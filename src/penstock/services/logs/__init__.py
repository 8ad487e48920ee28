"""CloudWatch Logs: groups, streams and events, as far as what runs here needs them."""
