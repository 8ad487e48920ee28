"""KMS: master keys, and data keys under them."""
