"""What the server says of the tellings that ended, for the page that started them."""

from django_async_cbv.channels import LocalChannel

endings = LocalChannel()
