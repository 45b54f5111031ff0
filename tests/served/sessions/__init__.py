"""A site with logins, on each session backend; `tests/served/test_sessions.py` asks it.

`ours/` is made of the async views, `lifted/` of such that await something in between,
`theirs/` of Django's own.
"""
