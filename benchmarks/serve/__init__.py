"""Servers and entry points against each other: `python -m benchmarks serve --help`."""
