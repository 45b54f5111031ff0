"""What `manage.py async_audit` knows of a project: its routes, hops and middleware."""
