"""The server: an HTTP API and a page over one model file."""
