"""A site with logins, on each session backend; `tests/served/test_sessions.py` asks it.

`ours/` is made of the async views, `theirs/` of Django's, page by page.
"""
