"""Real tracing agents, on each view."""
