"""The operations of the lease endpoint, by resource."""
