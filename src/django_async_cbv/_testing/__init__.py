"""What `django_async_cbv.testing` is made of."""
