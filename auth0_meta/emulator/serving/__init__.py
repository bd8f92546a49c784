"""Bytes in, bytes out: sockets, TLS, WSGI and an adapter for requests."""
