"""Messages lead to the documentation, as soon as the project has an address."""

from email.message import Message
from importlib.metadata import PackageNotFoundError
from unittest import mock

import pytest
from django.core.exceptions import ImproperlyConfigured

from django_async_cbv.checks.urlconf import messages
from django_async_cbv.core import address
from django_async_cbv.core.problems import problems
from django_async_cbv.views import AsyncListView


class Books(AsyncListView):
    async def get_queryset(self):
        return []


def with_urls(*urls):
    """Metadata with these `[project.urls]`."""
    found = Message()
    for one in urls:
        found["Project-URL"] = one
    address.documentation.cache_clear()
    return mock.patch.object(address, "metadata", return_value=found)


@pytest.fixture(autouse=True)
def forget():
    yield
    address.documentation.cache_clear()


def said():
    with pytest.raises(ImproperlyConfigured) as caught:
        Books.as_view()
    return str(caught.value)


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_message_leads_to_its_section(slash):
    urls = [
        "Source, https://source.test/",
        f"Documentation, https://docs.test/a{slash}",
    ]
    page = "https://docs.test/a/reference/checks.html#async-cbv-e001"
    with with_urls(*urls):
        assert said().endswith(f"[async_cbv.E001] {page}")
        [message] = messages(mock.Mock, Books, problems(Books))
        assert message.hint.endswith(f" {page}")


def test_a_message_ends_with_the_id_while_there_is_no_address():
    with with_urls("Source, https://source.test/"):
        assert address.documentation() == ""
        assert said().endswith("[async_cbv.E001]")


def test_a_package_that_is_not_installed_has_no_address():
    with with_urls() as metadata:
        metadata.side_effect = PackageNotFoundError
        assert said().endswith("[async_cbv.E001]")
