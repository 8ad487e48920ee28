"""What happens to records between the source and the destination."""
