"""The HTTP front: sockets, one request's path, health."""
