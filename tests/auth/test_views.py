"""What the login views do for their users; Django's own tests run on them too."""

from __future__ import annotations

import re

from django.contrib.auth.models import User
from django.core import mail
from django.test import AsyncClient, TestCase, override_settings
from django.urls import path

from django_async_cbv.auth import urls, views

PAGE = {"template_name": "page.html"}
# Without it, Django 6.1 and later warn.
MAILERS = {"default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}}


class Welcome(views.AsyncLoginView):
    """Async hooks before and after the password is checked."""

    template_name = "page.html"

    async def aget_default_redirect_url(self):
        user = await self.request.auser()
        return f"/home/{user.get_username()}/"

    async def aget_context_data(self, **kwargs):
        context = await super().aget_context_data(**kwargs)
        return context | {"users": await User.objects.acount()}


class OnlyStaff(views.AsyncLoginView):
    """A sync override, as it was before."""

    template_name = "page.html"

    def form_valid(self, form):
        if not form.get_user().is_staff:
            form.add_error(None, "Not for you.")
            return self.form_invalid(form)
        return super().form_valid(form)


urlpatterns = [
    path("login/", views.AsyncLoginView.as_view(**PAGE), name="login"),
    path("welcome/", Welcome.as_view()),
    path("staff/", OnlyStaff.as_view()),
    path(
        "again/",
        views.AsyncLoginView.as_view(**PAGE, redirect_authenticated_user=True),
    ),
    path("logout/", views.AsyncLogoutView.as_view(next_page="/bye/")),
    path("change/", views.AsyncPasswordChangeView.as_view(**PAGE)),
    path(
        "reset/<uidb64>/<token>/",
        views.AsyncPasswordResetConfirmView.as_view(**PAGE),
        name="password_reset_confirm",
    ),
    *urls.urlpatterns,
]


@override_settings(
    ROOT_URLCONF=__name__, LOGIN_REDIRECT_URL="/home/", LOGIN_URL="/login/"
)
class TestLoginViews(TestCase):
    async_client: AsyncClient

    @classmethod
    def setUpTestData(cls):
        cls.user = User.objects.create_user("ann", "ann@books.test", "secret")

    async def login(self, url="/login/", password="secret"):
        data = {"username": "ann", "password": password}
        return await self.async_client.post(url, data)

    async def test_the_right_password_logs_in(self):
        response = await self.login()
        self.assertRedirects(response, "/home/", fetch_redirect_response=False)
        session = await self.async_client.asession()
        self.assertEqual(await session.aget("_auth_user_id"), str(self.user.pk))

    async def test_a_wrong_password_does_not(self):
        response = await self.login(password="wrong")
        self.assertEqual(response.status_code, 200)
        self.assertIn("correct username", str(response.context_data["form"].errors))
        self.assertNotIn("sessionid", self.async_client.cookies)

    async def test_next_is_followed_on_this_site_alone(self):
        for url, target in {
            "/login/?next=/books/": "/books/",
            "/login/?next=https://evil.test/": "/home/",
            "/login/?next=//evil.test/": "/home/",
        }.items():
            response = await self.login(url)
            self.assertEqual(response["Location"], target)

    async def test_the_session_gets_a_new_key(self):
        session = await self.async_client.asession()
        await session.aset("basket", [1])
        await session.asave()
        before = self.async_client.cookies["sessionid"].value
        await self.login()
        after = self.async_client.cookies["sessionid"].value
        self.assertNotEqual(before, after)
        session = await self.async_client.asession()
        self.assertEqual(await session.aget("basket"), [1])

    async def test_who_is_logged_in_needs_no_form(self):
        await self.async_client.aforce_login(self.user)
        response = await self.async_client.get("/again/")
        self.assertEqual(response["Location"], "/home/")

    async def test_async_hooks_are_awaited(self):
        page = await self.async_client.get("/welcome/")
        self.assertEqual(page.context_data["users"], 1)
        response = await self.login("/welcome/")
        self.assertEqual(response["Location"], "/home/ann/")

    async def test_a_sync_override_keeps_users_out(self):
        response = await self.login("/staff/")
        self.assertIn("Not for you.", str(response.context_data["form"].errors))
        self.assertNotIn("sessionid", self.async_client.cookies)
        await User.objects.aupdate(is_staff=True)
        self.assertEqual((await self.login("/staff/")).status_code, 302)

    async def test_logging_out_takes_a_post(self):
        await self.async_client.aforce_login(self.user)
        self.assertEqual((await self.async_client.get("/logout/")).status_code, 405)
        response = await self.async_client.post("/logout/")
        self.assertEqual(response["Location"], "/bye/")
        self.assertEqual(self.async_client.cookies["sessionid"].value, "")

    async def test_a_new_password_keeps_its_user_logged_in(self):
        await self.async_client.aforce_login(self.user)
        data = {"old_password": "secret", "new_password1": "n3w-0ne-here"}
        data["new_password2"] = data["new_password1"]
        response = await self.async_client.post("/change/", data)
        self.assertEqual(response["Location"], "/password_change/done/")
        again = await self.async_client.get("/change/")
        self.assertEqual(again.status_code, 200)
        self.assertEqual((await self.login(password="n3w-0ne-here")).status_code, 302)

    async def test_who_is_not_logged_in_changes_no_password(self):
        response = await self.async_client.get("/change/")
        self.assertEqual(response["Location"], "/login/?next=/change/")

    @override_settings(MAILERS=MAILERS)
    async def test_a_forgotten_password_is_set_by_the_link_of_a_mail(self):
        sent = await self.async_client.post(
            "/password_reset/", {"email": "ann@books.test"}
        )
        self.assertEqual(sent["Location"], "/password_reset/done/")
        [message] = mail.outbox
        link = re.search(r"http://testserver(/reset/\S+)", message.body)[1]
        form = await self.async_client.get(link)
        self.assertTrue(form["Location"].endswith("/set-password/"))
        data = {"new_password1": "n3w-0ne-here", "new_password2": "n3w-0ne-here"}
        done = await self.async_client.post(form["Location"], data)
        self.assertEqual(done["Location"], "/reset/done/")
        self.assertEqual((await self.login(password="n3w-0ne-here")).status_code, 302)
        # It works once.
        again = await self.async_client.get(link)
        self.assertFalse(again.context_data["validlink"])
