"""What the checks say of a project that our ASGI entry point serves, and no other."""

from __future__ import annotations

import sys
import threading
from collections import deque
from contextlib import nullcontext
from contextvars import ContextVar
from types import ModuleType
from unittest import mock

import pytest
from asgiref.local import Local
from django.contrib.auth.middleware import RemoteUserMiddleware
from django.core import checks
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import connections
from django.db.utils import ConnectionHandler
from django.test import SimpleTestCase, override_settings
from django.utils.decorators import async_only_middleware, sync_and_async_middleware
from django.utils.deprecation import MiddlewareMixin

from django_async_cbv.checks import check_entry_point
from django_async_cbv.checks.asgi import entry_point
from django_async_cbv.serve.handler import Handler

PROJECT = "tests.checks.project.asgi"
SERVED = {"ASGI_APPLICATION": f"{PROJECT}.application"}


def ids():
    return [message.id for message in check_entry_point()]


def databases(**options):
    """Have the project use one database."""
    handler = ConnectionHandler({"default": options})
    return mock.patch.object(connections, "settings", handler.settings)


@pytest.fixture(autouse=True)
def sqlite():
    """Whatever the tests run on: only SQLite is reported by none of the checks."""
    with databases(ENGINE="django.db.backends.sqlite3", NAME=":memory:"):
        yield


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Write the ASGI module of a project, whose name is new; return its settings."""
    monkeypatch.syspath_prepend(tmp_path)
    package = tmp_path / f"shop_{tmp_path.name}"

    def write(source, module="asgi"):
        package.mkdir(exist_ok=True)
        (package / "__init__.py").touch()
        (package / f"{module}.py").write_text(source)
        return f"{package.name}.{module}"

    yield write
    for name in [one for one in sys.modules if one.startswith(package.name)]:
        del sys.modules[name]


ENTRY = "from django_async_cbv.asgi import get_asgi_application\n"


class TestEntryPoint:
    @pytest.mark.parametrize(
        "source",
        [
            ENTRY,
            "import django_async_cbv.asgi\n",
            "import django_async_cbv.asgi as entry\n",
            "from django_async_cbv import asgi\n",
            "def made():\n    from django_async_cbv.asgi import get_asgi_application\n",
        ],
    )
    def test_it_is_found(self, project, source):
        name = project(source)
        with override_settings(ASGI_APPLICATION=f"{name}.application"):
            assert entry_point() == {}
        assert name not in sys.modules

    @pytest.mark.parametrize(
        "source",
        [
            "from django.core.asgi import get_asgi_application\n",
            "# from django_async_cbv.asgi import get_asgi_application\n",
            "import django_async_cbv\n",
            "from django_async_cbv.views import AsyncView\n",
            "this is no Python\n",
            "",
        ],
    )
    def test_another_is_not(self, project, source):
        with override_settings(ASGI_APPLICATION=f"{project(source)}.application"):
            assert entry_point() is None
            assert check_entry_point() == []

    @pytest.mark.parametrize(
        ("setting", "value"),
        [
            ("ROOT_URLCONF", "{package}.urls"),
            ("SETTINGS_MODULE", "{package}.settings"),
            ("SETTINGS_MODULE", "{package}.settings.production"),
            ("ASGI_APPLICATION", "{package}.asgi.application"),
        ],
    )
    def test_where_it_is_looked_for(self, project, setting, value):
        package = project(ENTRY).partition(".")[0]
        value = value.format(package=package)
        if ".settings." in value:
            project("", "settings")
        with override_settings(**{"ROOT_URLCONF": "tests.urls", setting: value}):
            assert entry_point() == {}

    @pytest.mark.parametrize(
        "found",
        [
            {},
            {"ROOT_URLCONF": None},
            {"ROOT_URLCONF": ModuleType("urls")},
            {"ROOT_URLCONF": "urls"},
            {"ASGI_APPLICATION": None},
            {"ASGI_APPLICATION": "nowhere.asgi.application"},
            {"ASGI_APPLICATION": "sys.application"},
            {"ASGI_APPLICATION": "application"},
        ],
    )
    def test_a_project_without_one(self, found):
        with override_settings(**found):
            assert entry_point() is None

    def test_a_module_without_a_spec(self):
        name = "made_at_run_time"
        module = ModuleType(name)
        with (
            mock.patch.dict(sys.modules, {name: module}),
            override_settings(ASGI_APPLICATION=f"{name}.application"),
        ):
            assert entry_point() is None

    def test_options_that_are_constants(self, project):
        call = "get_asgi_application(workers=N, release='always', sync_chain=False)"
        name = project(f"{ENTRY}application = wrapped({call})\n")
        with override_settings(ASGI_APPLICATION=f"{name}.application"):
            assert entry_point() == {"release": "always", "sync_chain": False}


class TestNewConnections(SimpleTestCase):
    PG = "django.db.backends.postgresql"

    def found(self, **options):
        with databases(**options), override_settings(**SERVED, MIDDLEWARE=[]):
            return ids()

    def test_by_default(self):
        assert self.found(ENGINE=self.PG) == ["async_cbv.W010"]
        assert self.found(ENGINE=self.PG, CONN_MAX_AGE=0) == ["async_cbv.W010"]

    def test_a_lasting_connection(self):
        assert self.found(ENGINE=self.PG, CONN_MAX_AGE=60) == []
        assert self.found(ENGINE=self.PG, CONN_MAX_AGE=None) == []

    def test_a_pool(self):
        assert self.found(ENGINE=self.PG, OPTIONS={"pool": True}) == []
        assert self.found(ENGINE=self.PG, OPTIONS={"pool": {"max_size": 4}}) == []
        assert self.found(ENGINE=self.PG, OPTIONS={"pool": False}) == ["async_cbv.W010"]

    def test_engines(self):
        backend = ModuleType("shop.backend.base")
        backend.DatabaseWrapper = type("DatabaseWrapper", (), {"vendor": "mysql"})
        modules = {"shop": ModuleType("shop"), "shop.backend": ModuleType("backend")}
        modules["shop.backend.base"] = backend
        with mock.patch.dict(sys.modules, modules):
            found = self.found(ENGINE="shop.backend")
        assert found == ["async_cbv.W010", "async_cbv.W013"]
        assert self.found(ENGINE="django.db.backends.sqlite3", NAME=":memory:") == []

    def test_an_engine_that_is_not_there(self):
        assert self.found(ENGINE="django.db.backends.nothing") == []

    def test_another_entry_point(self):
        with databases(ENGINE=self.PG):
            assert check_entry_point() == []

    def test_the_command_shows_it(self):
        registered = checks.registry.registry.get_checks()
        assert check_entry_point in registered
        with (
            databases(ENGINE=self.PG),
            override_settings(**SERVED),
            pytest.raises(SystemCheckError) as error,
        ):
            call_command("check", fail_level="WARNING")
        assert "async_cbv.W010" in str(error.value)


class TestUnknownEngines(SimpleTestCase):
    ENGINE = "tests.swapping.backend"

    def found(self, **settings):
        with (
            databases(ENGINE=self.ENGINE, CONN_MAX_AGE=60),
            override_settings(**{**SERVED, "MIDDLEWARE": [], **settings}),
        ):
            return check_entry_point()

    def test_it_is_named(self):
        [message] = self.found()
        assert message.id == "async_cbv.W013"
        assert message.level == checks.INFO
        assert repr(self.ENGINE) in message.msg
        assert repr(self.ENGINE) in message.hint

    def test_one_that_the_project_knows(self):
        assert self.found(ASYNC_CBV_STATELESS_ENGINES=[self.ENGINE]) == []

    def test_engines_of_django(self):
        for engine in (
            "django.db.backends.sqlite3",
            "django.contrib.gis.db.backends.spatialite",
            "django.db.backends.dummy",
        ):
            with databases(ENGINE=engine), override_settings(**SERVED, MIDDLEWARE=[]):
                assert ids() == []


@pytest.mark.parametrize(
    ("release", "expected"),
    [("between", ["async_cbv.W013"]), ("request", []), ("always", [])],
)
def test_release_makes_engines_equal(project, release, expected):
    name = project(f"{ENTRY}application = get_asgi_application(release={release!r})\n")
    settings = {"ASGI_APPLICATION": f"{name}.application", "MIDDLEWARE": []}
    with (
        databases(ENGINE=TestUnknownEngines.ENGINE, CONN_MAX_AGE=60),
        override_settings(**settings),
    ):
        assert ids() == expected


class Base:
    """A middleware as most are."""

    def __init__(self, get_response):
        self.get_response = get_response
        self.seen = deque()
        self.by_name = {}
        self.load()

    def load(self):
        # Once, before any request.
        self.loaded = True
        self.by_name["a"] = 1

    def __call__(self, request):
        return self.get_response(request)


class Assigns(Base):
    def __call__(self, request):
        self.kept = request
        return self.get_response(request)


class Counts(Base):
    def __call__(self, request):
        self.kept += 1
        return self.get_response(request)


class Annotated(Base):
    def __call__(self, request):
        self.kept: object = request
        return self.get_response(request)


class Unpacks(Base):
    def __call__(self, request):
        _first, (self.kept, *_rest) = request.path, (1, 2)
        return self.get_response(request)


class Loops(Base):
    def __call__(self, request):
        for self.kept in (1, 2):
            pass
        return self.get_response(request)


class Enters(Base):
    def __call__(self, request):
        with nullcontext(request) as self.kept:
            return self.get_response(request)


class Deletes(Base):
    def __call__(self, request):
        del self.kept
        return self.get_response(request)


class Indexes(Base):
    def __call__(self, request):
        self.kept[request.path] = request
        return self.get_response(request)


class Deep(Base):
    def __call__(self, request):
        self.kept.last["user"].name = request
        return self.get_response(request)


class Appends(Base):
    def __call__(self, request):
        self.kept.append(request)
        return self.get_response(request)


class Sets(Base):
    def __call__(self, request):
        setattr(self, "kept", request)  # noqa: B010
        return self.get_response(request)


class Helper(Base):
    def __call__(self, request):
        self.note(request)
        return self.get_response(request)

    def note(self, request):
        self.kept = request


class Nested(Base):
    def __call__(self, request):
        def note():
            self.kept = request

        note()
        return self.get_response(request)


class OtherName(Base):
    def __call__(this, request):  # noqa: N805
        this.kept = request
        return this.get_response(request)


class AsyncCall(Base):
    async def __call__(self, request):
        self.kept = request
        return await self.get_response(request)


class Inherits(Assigns):
    pass


class Hooks(MiddlewareMixin):
    def process_request(self, request):
        self.kept = request


class ViewHook(MiddlewareMixin):
    def process_view(self, request, view, args, kwargs):
        self.kept = request


class ExceptionHook(MiddlewareMixin):
    def process_exception(self, request, exception):
        self.kept = exception


KEEP = (
    *(Assigns, Counts, Annotated, Unpacks, Loops, Enters, Deletes, Indexes, Deep),
    *(Appends, Sets, Helper, Nested, OtherName, AsyncCall, Inherits, Hooks, ViewHook),
    ExceptionHook,
)


class OnRequest(Base):
    def __call__(self, request):
        request.kept = self.seen
        request.session["kept"] = self.loaded
        kept = {}
        kept["a"] = self.by_name.get("a")
        kept.update(self.by_name)
        return self.get_response(request)


class ThreadLocal(Base):
    def __init__(self, get_response):
        super().__init__(get_response)
        self.own = threading.local()

    def __call__(self, request):
        self.own.kept = request
        return self.get_response(request)


class ClassLocal(Base):
    own = Local()

    def __call__(self, request):
        self.own.kept = request
        return self.get_response(request)


class Context(Base):
    own = ContextVar("own")

    def __call__(self, request):
        self.own.set(request)
        return self.get_response(request)


class OtherSelf(Base):
    def __call__(self, request):
        class Reader:
            def __init__(self):
                self.kept = request

        request.reader = Reader()
        return self.get_response(request)


class Overridden(Assigns):
    def __call__(self, request):
        return self.get_response(request)


class Unused(Base):
    def reload(self):
        # Nothing calls it in a request.
        self.kept = True


class NoSource(Base):
    exec("def __call__(self, request):\n    self.kept = request")


KEEP_NOTHING = (
    *(Base, OnRequest, ThreadLocal, ClassLocal, Context, OtherSelf, Overridden),
    *(Unused, NoSource),
)


def path_of(one):
    return f"{one.__module__}.{one.__qualname__}"


class TestStateful(SimpleTestCase):
    def found(self, *middleware):
        with override_settings(**SERVED, MIDDLEWARE=[*map(path_of, middleware)]):
            return check_entry_point()

    def test_what_keeps_state(self):
        for cls in KEEP:
            with self.subTest(cls.__name__):
                [message] = self.found(cls)
                assert message.id == "async_cbv.W011"
                assert message.level == checks.WARNING
                assert path_of(cls) in message.msg
                assert "self.kept" in message.msg
                assert "test_asgi.py:" in message.msg
                assert "request.kept" in message.hint

    def test_what_keeps_none(self):
        for cls in KEEP_NOTHING:
            with self.subTest(cls.__name__):
                assert self.found(cls) == []

    def test_an_attribute_is_named_once(self):
        assert len(self.found(Assigns, Hooks)) == 2

    def test_django_keeps_none(self):
        with override_settings(**SERVED):
            assert check_entry_point() == []

    def test_one_that_can_not_be_imported(self):
        with override_settings(**SERVED, MIDDLEWARE=["nowhere.Middleware"]):
            assert check_entry_point() == []


@pytest.mark.parametrize("sync_chain", [True, False])
def test_a_second_instance_is_told_where_there_is_one(project, sync_chain):
    call = f"get_asgi_application(sync_chain={sync_chain})"
    name = project(f"{ENTRY}application = {call}\n")
    settings = {"MIDDLEWARE": [path_of(Assigns), path_of(asynchronous)]}
    with override_settings(ASGI_APPLICATION=f"{name}.application", **settings):
        found = {message.id: message.msg for message in check_entry_point()}
    assert ("another one" in found["async_cbv.W011"]) is sync_chain
    assert ("async_cbv.W012" in found) is sync_chain


@async_only_middleware
def asynchronous(get_response):
    async def middleware(request):
        return await get_response(request)

    return middleware


@sync_and_async_middleware
def hybrid(get_response):
    return get_response


def synchronous(get_response):
    return get_response


class AsyncOnly:
    sync_capable = False
    async_capable = True

    def __init__(self, get_response):
        self.get_response = get_response

    async def __call__(self, request):
        return await self.get_response(request)


class TestAsyncOnly(SimpleTestCase):
    def test_as_the_handler_has_it(self):
        """The check names those for which the handler has no sync chain."""
        for one, is_named in (
            (asynchronous, True),
            (AsyncOnly, True),
            (RemoteUserMiddleware, True),
            (hybrid, False),
            (synchronous, False),
            (Base, False),
        ):
            with (
                self.subTest(one.__name__),
                override_settings(**SERVED, MIDDLEWARE=[path_of(one)]),
            ):
                messages = check_entry_point()
                assert bool(messages) is is_named
                assert (Handler()._sync_chain is None) is is_named
                for message in messages:
                    assert message.id == "async_cbv.W012"
                    assert path_of(one) in message.msg
