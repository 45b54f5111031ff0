"""A database ENGINE that is not one of Django's own."""
