"""Access and authentication: who may see a view, and the views to log in by."""
