"""Only the tox environment `agents` has the agents."""

from importlib.util import find_spec

collect_ignore = [] if find_spec("ddtrace") else ["test_agents.py"]
