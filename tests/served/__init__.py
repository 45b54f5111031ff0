"""A project for the commands of docs/servers.md."""
