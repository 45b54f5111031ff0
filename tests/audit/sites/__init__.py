"""Sites of others, each with its settings, whose routes the audit looks at."""
