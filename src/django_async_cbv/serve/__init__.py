"""The execution layer behind the ASGI entry point."""
