"""A typed project on our views, as a user would write it, for type checkers to see."""
