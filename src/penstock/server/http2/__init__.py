"""HTTP/2, spoken by ourselves."""
