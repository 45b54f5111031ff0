"""What runs only where STREAM_SERVERS=all."""

import os

collect_ignore = []
if os.environ.get("STREAM_SERVERS") != "all":
    collect_ignore += ["test_connections.py", "test_proxies.py", "test_runserver.py"]
