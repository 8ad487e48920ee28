"""The operations of CloudWatch Logs, by resource."""
