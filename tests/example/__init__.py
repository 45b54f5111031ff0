"""The example site, asked over HTTP under the servers that people run it on."""
