"""django-tenants under our ASGI entry point: a schema of PostgreSQL for each tenant.

Settings of their own, since its ENGINE, apps and router would change all other tests:
`pytest --ds=tests.ecosystem.tenants.settings tests/ecosystem/tenants`. Other runs leave
this folder out.
"""
