"""`manage.py async_audit`: what it finds, its formats, its limits and its refusals."""

from __future__ import annotations

import io
import json
import re
import tempfile
from pathlib import Path
from unittest import mock

import pytest
from django.core.management import CommandError, call_command
from django.test import SimpleTestCase, override_settings

from django_async_cbv.audit.formats import VERSION
from django_async_cbv.views import AsyncListView
from tests.audit import project
from tests.audit.schema import wrong_with

SYNC_ONLY = ["tests.audit.chains.OwnSync"]


def audit(*args, **options):
    out = io.StringIO()
    call_command("async_audit", *args, stdout=out, no_color=True, **options)
    return out.getvalue()


@override_settings(ROOT_URLCONF="tests.audit.project")
class Command(SimpleTestCase):
    def read(self, *args):
        return json.loads(audit("--json", *args))

    def rows(self, *args):
        return {row["route"]: row for row in self.read(*args)["routes"]}


class TestRoutes(Command):
    def test_each_route_and_handler_is_a_row(self):
        rows = self.rows()
        self.assertEqual(len(rows), 17)
        self.assertIn("handler404", rows)
        self.assertEqual(rows["shop/held/"]["name"], "shop:held")
        self.assertIn(r"years/(?P<year>\d{4})/", rows)

    def test_views_are_found_behind_decorators(self):
        rows = self.rows()
        for route, name in {
            "login/": "Authors",
            "cached/": "Ordered",
            "bare/": "Ordered",
            "partial/": "Authors",
            "given/": "Authors",
            "rest/": "Djangos",
        }.items():
            with self.subTest(route):
                self.assertEqual(rows[route]["view"], f"{project.__name__}.{name}")

    def test_kinds(self):
        rows = self.rows()
        for route, kind in {
            "": "ours",
            "djangos/": "django",
            "monthly/": "function",
            "feed/": "unknown",
            "handler404": "function",
        }.items():
            self.assertEqual(rows[route]["kind"], kind)
        # What can't be told is listed with its callable.
        self.assertEqual(rows["feed/"]["view"], f"{project.__name__}.Feed")

    def test_hops(self):
        rows = self.rows()
        for route, hops in {
            "": (1, 1),
            "shop/ordered/<int:number>/": (1, 1),
            "shop/held/": (1, 1),
            "own/": (0, 0),
            # Whole in the hop of a sync decorator.
            "bare/": (1, 1),
            "djangos/": (1, 1),
            "djangos-async/": (0, 0),
            "monthly/": (1, 1),
            "awaited/": (0, 0),
        }.items():
            with self.subTest(route):
                entry = rows[route]["entries"][0]
                self.assertEqual((entry["low"], entry["high"]), hops)

    def test_hops_of_the_views_own(self):
        [entry] = self.rows()["own/"]["entries"]
        self.assertEqual(entry["own"], 2)
        texts = [one["text"] for one in entry["reasons"] if one["kind"] == "own"]
        self.assertEqual(texts, ["acount, in a loop", "run_sync"])

    def test_calls_that_wait_in_a_thread(self):
        [entry] = self.rows()["monthly/"]["entries"]
        self.assertEqual(entry["reasons"][0]["kind"], "blocking")
        self.assertEqual(
            entry["reasons"][0]["text"], "time.sleep waits in a thread: worth async"
        )

    def test_who_holds_a_worker_thread(self):
        rows = self.rows()
        held = {
            route
            for route, row in rows.items()
            for entry in row["entries"]
            if any(one["kind"] == "held" for one in entry["reasons"])
        }
        self.assertEqual(held, {"shop/held/", "bare/"})
        [entry] = rows["shop/held/"]["entries"]
        [reason] = [one for one in entry["reasons"] if one["kind"] == "held"]
        self.assertIn("Held.dispatch()", reason["text"])
        self.assertIn("Held.aget_context_data()", reason["text"])
        self.assertIn("response['X-Held'] = '1'", reason["text"])

    def test_an_import_that_fails_is_a_row(self):
        with override_settings(ROOT_URLCONF="tests.audit.failing"):
            [row] = self.rows().values()
        self.assertEqual(row["kind"], "failed")
        [reason] = row["entries"][0]["reasons"]
        self.assertEqual(reason["text"], "LookupError: no such settings")
        both = self.rows("--urlconf", "tests.audit.failing")
        self.assertEqual(len(both), 18)

    def test_a_middleware_that_fails_is_a_row(self):
        with override_settings(MIDDLEWARE=["tests.nowhere.Middleware"]):
            [layer] = self.read()["middleware"]
            self.assertIn("tests.nowhere", audit())
        self.assertIn("ModuleNotFoundError", layer["problem"])

    def test_other_urlconfs(self):
        with override_settings(
            ROOT_URLCONF="tests.urls",
            SUBDOMAIN_URLCONFS={"shop": "tests.audit.project"},
        ):
            found = {row["urlconf"] for row in self.read()["routes"]}
        self.assertEqual(found, {"tests.urls", "tests.audit.project"})

    def test_nothing_is_called(self):
        with mock.patch.object(AsyncListView, "dispatch", side_effect=AssertionError):
            audit()


class TestFormats(Command):
    def test_text_has_80_columns(self):
        text = audit()
        self.assertEqual([one for one in text.splitlines() if len(one) > 80], [])
        self.assertIn("Middleware", text)
        said = " ".join(text.split())
        self.assertIn("17 routes: 9 of this package", said)
        self.assertIn("HELD: 2 views.", said)

    def test_json_is_as_its_schema_says(self):
        found = self.read()
        self.assertEqual(found["version"], VERSION)
        self.assertEqual(wrong_with(found), [])

    def test_github(self):
        lines = audit("--format", "github").splitlines()
        held = [one for one in lines if "X-Held" in one]
        self.assertRegex(held[0], r"^::warning file=.*project\.py,line=\d+,title=")

    def test_markdown(self):
        text = audit("--format", "markdown")
        self.assertIn("| `shop/held/` |", text)

    def test_a_pipe_has_no_colors(self):
        out = io.StringIO()
        call_command("async_audit", stdout=out)
        self.assertNotIn("\x1b", out.getvalue())


class TestChoice(Command):
    def test_view(self):
        for pattern in ("*.Held", "shop:held", "shop/held/"):
            self.assertEqual([*self.rows("--view", pattern)], ["shop/held/"])

    def test_app(self):
        self.assertEqual(self.rows("--app", "auth"), {})
        with override_settings(ROOT_URLCONF="django.contrib.auth.urls"):
            self.assertTrue(self.rows("--app", "auth"))

    def test_a_failed_import_is_in_each_choice(self):
        with override_settings(ROOT_URLCONF="tests.audit.failing"):
            for args in (
                ("--app", "auth"),
                ("--view", "plants.views.*"),
                ("--only", "problems"),
                ("--app", "auth", "--view", "nothing", "--only", "problems"),
            ):
                with self.subTest(args):
                    [row] = self.rows(*args).values()
                    self.assertEqual(row["kind"], "failed")
            self.assertIn("LookupError: no such settings", audit("--app", "auth"))

    def test_only_problems(self):
        rows = self.rows("--only", "problems")
        self.assertIn("shop/held/", rows)
        self.assertNotIn("awaited/", rows)

    def test_sort(self):
        found = [*self.read("--sort", "hops")["routes"]]
        most = [max(one["high"] or 0 for one in row["entries"]) for row in found]
        self.assertEqual(most, sorted(most, reverse=True))


class TestLimits(Command):
    def refusal(self, *args):
        with pytest.raises(CommandError) as caught:
            audit(*args)
        return caught.value.returncode, str(caught.value)

    def test_max_hops(self):
        audit("--max-hops", "1")
        code, text = self.refusal("--max-hops", "0")
        self.assertEqual(code, 1)
        self.assertIn("Held GET: 1 hop, at most 0 allowed", text)

    def test_max_hops_of_what_has_no_limit(self):
        endless = ("--urlconf", "tests.audit.endless")
        _, text = self.refusal(*endless, "--max-hops", "3")
        self.assertIn("Endless GET: the number of its hops has no known limit", text)
        self.assertIn("at most 3 allowed. To accept it, use `--save`", text)
        audit(*endless, "--against", self.baseline(*endless), "--max-hops", "3")

    def test_fail_on(self):
        code, text = self.refusal("--fail-on", "held")
        self.assertEqual(code, 1)
        self.assertIn("shop/held/", text)
        code, text = self.refusal("--fail-on", "unknown")
        self.assertIn("feed/", text)
        with override_settings(MIDDLEWARE=SYNC_ONLY):
            code, text = self.refusal("--fail-on", "sync-middleware")
        self.assertIn(SYNC_ONLY[0], text)
        with override_settings(MIDDLEWARE=[]):
            audit("--fail-on", "sync-middleware")

    def baseline(self, *args):
        path = str(Path(self.enterContext(_folder())) / "audit.json")
        audit("--save", path, *args)
        return path

    def test_what_is_known_passes(self):
        path = self.baseline()
        audit("--against", path, "--max-hops", "0", "--fail-on", "held,unknown")

    def test_one_hop_more_fails_and_is_named(self):
        path = self.baseline()

        with mock.patch.object(
            project.Authors, "aget_context_data", _awaited, create=True
        ):
            code, text = self.refusal("--against", path)
        self.assertEqual(code, 1)
        self.assertIn("Authors GET: 2 hops, 1 in the baseline", text)

    def test_lines_that_move_do_not(self):
        path = self.baseline()
        saved = Path(path).read_text()
        self.assertIsNone(re.search(r":\d+\b.*\.py", saved))
        self.assertNotIn("project.py", saved)

    def test_what_is_new_has_to_keep_the_limits(self):
        path = self.baseline()
        read = json.loads(Path(path).read_text())
        kept = {k: v for k, v in read["entries"].items() if "Held" not in k}
        Path(path).write_text(json.dumps({**read, "entries": kept}))
        audit("--against", path)
        code, text = self.refusal("--against", path, "--fail-on", "held")
        self.assertEqual(code, 1)
        self.assertNotIn("bare/", text)

    def test_a_failed_import_fails_at_each_limit(self):
        with override_settings(ROOT_URLCONF="tests.audit.failing"):
            audit()
            path = self.baseline()
            for args in (
                ("--fail-on", "held"),
                ("--max-hops", "9"),
                ("--against", path),
                ("--fail-on", "held", "--app", "auth"),
            ):
                with self.subTest(args):
                    self.assertEqual(
                        self.refusal(*args),
                        (
                            1,
                            "(tests.audit.failing) cannot be imported: LookupError: "
                            "no such settings",
                        ),
                    )

    def test_the_proposed_pattern_is_another_one(self):
        for pattern, proposed in {
            "plants.views": "--view '*plants.views*'",
            "plants.views.Detail*": "--view '*plants.views.Detail*'",
            "*.Detail": "--view '*.Detail*'",
            "*Detail*": "a part of a name",
        }.items():
            with self.subTest(pattern):
                _, text = self.refusal("--view", pattern)
                self.assertIn(proposed, text)
                self.assertNotIn("**", text)

    def test_bad_options(self):
        folder = Path(self.enterContext(_folder()))
        old = folder / "old.json"
        old.write_text('{"version": 0}')
        broken = folder / "broken.json"
        broken.write_text("{")
        for args in (
            ("--view", "nothing"),
            ("--urlconf", "tests.nowhere"),
            ("--format", "xml"),
            ("--sort", "name"),
            ("--only", "some"),
            ("--app", "nowhere"),
            ("--max-hops", "-1"),
            ("--max-hops", "many"),
            ("--fail-on", "held,all"),
            ("--against", str(folder / "missing.json")),
            ("--against", str(old)),
            ("--against", str(broken)),
            ("--save", str(folder / "no" / "folder.json")),
        ):
            with self.subTest(args):
                code, text = self.refusal(*args)
                self.assertEqual(code, 2)
                self.assertEqual(len(text.splitlines()), 1)
                self.assertRegex(text, r"\. (Write|Name) ")


async def _awaited(self, **kwargs):
    return await super(project.Authors, self).aget_context_data(**kwargs)


def _folder():
    return tempfile.TemporaryDirectory()
