"""Streams in a real browser, which reads them with its own EventSource."""
