"""Where records are delivered to, one module each."""
