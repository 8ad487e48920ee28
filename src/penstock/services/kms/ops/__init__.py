"""The operations of KMS, by resource."""
