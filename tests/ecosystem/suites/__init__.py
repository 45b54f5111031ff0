"""
The tests that packages ship in their sdists, run unchanged on swapped views.

They take minutes, so they have a settings module and a tox environment of their own:
`tox run -e suites`. Other runs leave this folder out.
"""
