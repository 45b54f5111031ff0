"""A project for the commands of docs/how-to/deploy/servers.md."""
