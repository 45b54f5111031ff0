"""What serves requests on an ASGI server; knows nothing of views."""
