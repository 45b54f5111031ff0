"""Mixins and decorators of other packages on our views: what works, at what cost.

Settings of their own, since the packages are Django apps:
`pytest --ds=tests.ecosystem.settings tests/ecosystem`. Other runs leave
this folder out.
"""
