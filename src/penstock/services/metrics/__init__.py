"""What the services count."""
