"""The operations of functions, by resource."""
