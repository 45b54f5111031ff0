"""What django_async_cbv.auth.urls offers is what django.contrib.auth.urls does."""

from __future__ import annotations

from django.contrib.auth import urls as django_urls
from django.test import SimpleTestCase

from django_async_cbv.auth import urls


class TestURLs(SimpleTestCase):
    def test_they_are_djangos_with_our_views(self):
        ours = {pattern.name: pattern for pattern in urls.urlpatterns}
        theirs = {pattern.name: pattern for pattern in django_urls.urlpatterns}
        self.assertEqual([*ours], [*theirs])
        for name, pattern in theirs.items():
            self.assertEqual(str(ours[name].pattern), str(pattern.pattern))
            cls = ours[name].callback.view_class
            self.assertEqual(
                cls.__name__, f"Async{pattern.callback.view_class.__name__}"
            )
