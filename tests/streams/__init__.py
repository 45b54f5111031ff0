"""Streams on real servers: clients that go, servers that stop, generators that fail."""
