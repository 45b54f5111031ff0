"""A project that is served by the entry point of this package; a check reads it."""
