"""What Django looks for in an app: its commands."""
