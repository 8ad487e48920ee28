"""The operations of CloudWatch's metrics, by what they are about."""
