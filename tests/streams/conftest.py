"""What runs only where STREAM_SERVERS=all."""

import os
import signal

import pytest

collect_ignore = []
if os.environ.get("STREAM_SERVERS") != "all":
    collect_ignore += ["test_connections.py", "test_proxies.py", "test_runserver.py"]


@pytest.fixture(scope="session", autouse=True)
def heed_interrupts():
    """What a shell runs in the background ignores SIGINT, and so would the servers."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
