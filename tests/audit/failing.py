"""A URLconf that can't be imported."""

raise LookupError("no such settings")
