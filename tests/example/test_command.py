"""The one command: it says where it is, starts again on its data, and ends cleanly."""

from __future__ import annotations

import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.example.conftest import check_ending, sign_up
from tests.example.running import PROJECT, Site, demo, environment, served

pytestmark = pytest.mark.server

SEEDED = re.compile(
    r"^(\d+) countries, (\d+) holidays .*, (\d+) trips, (\d+) wall calendars\.$",
    re.MULTILINE,
)


def manage(
    *arguments: str, data: Path, **variables: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=PROJECT,
        env=environment(data, **variables),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def copied(site: Site, folder: Path) -> Path:
    """Copy what the seeded site has on disk to `folder`."""
    source, target = Path(site.environment["REDLETTER_DATA"]), folder / "var"
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("db.sqlite3*"))
    # Through the database, since the site may be writing at this moment.
    with (
        closing(sqlite3.connect(source / "db.sqlite3")) as live,
        closing(sqlite3.connect(target / "db.sqlite3")) as backup,
    ):
        live.backup(backup)
    return target


@pytest.fixture
def copy(sqlite_site: Site, tmp_path: Path) -> Path:
    """A copy of what the seeded site has on disk."""
    return copied(sqlite_site, tmp_path)


SPOIL_AND_SEED = """
from django.core.management import call_command
from almanac.models import Country, Holiday
japan = Country.objects.get(code="JP")
Country.objects.filter(code="JP").update(name="Nippon")
Country.objects.filter(code="DE").delete()
day = japan.holidays.first().date
Holiday.objects.create(country=japan, date=day, name="X", slug="jp-x")
before = set(Holiday.objects.exclude(slug="jp-x").values_list("pk", flat=True))
call_command("seed")
after = set(Holiday.objects.values_list("pk", flat=True))
print(Country.objects.get(code="JP").name, Country.objects.filter(code="DE").exists())
print(Holiday.objects.filter(slug="jp-x").exists(), before <= after, len(after))
"""


def test_seeding_again_brings_up_to_date(sqlite_site: Site, copy: Path) -> None:
    """What is gone comes back, what is too much goes, and the rest stays as it is."""
    first = SEEDED.search(sqlite_site.output())
    done = manage("shell", "--no-imports", "-c", SPOIL_AND_SEED, data=copy)
    again = SEEDED.search(done.stdout)
    assert first
    assert again, done.stderr
    # Other tests may have planned trips meanwhile, but not in the demo account's name.
    assert first.groups() == again.groups()
    assert done.stdout.splitlines()[1:] == ["Japan True", f"False True {first[2]}"]


CHECK = """
from django.core.management import call_command
call_command("makemigrations", "--check", "--dry-run")
call_command("check", "--fail-level", "WARNING")
"""


def test_nothing_to_check_nor_to_migrate(tmp_path: Path) -> None:
    checked = manage("shell", "--no-imports", "-c", CHECK, data=tmp_path)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "No changes detected" in checked.stdout
    assert "no issues" in checked.stdout


def test_it_starts_again_on_its_data_and_ends(
    sqlite_site: Site, tmp_path: Path
) -> None:
    with sign_up(sqlite_site) as visitor:
        cookies = visitor.cookies
    copy = copied(sqlite_site, tmp_path)
    with demo(tmp_path, environment(copy), "--no-seed") as site:
        with site.client() as client:
            # Logged in before, logged in still: the secret key was kept.
            client.cookies.update(cookies)
            assert client.get("/trips/new/").status_code == 200
            # With a connection open: it is closed, not waited for.
            assert site.stop(signal.SIGTERM) == 0, site.output()
        check_ending(site)
        assert "countries," not in site.output(), "nothing was seeded"


def test_port_that_is_taken(tmp_path: Path) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        port = str(sock.getsockname()[1])
        started = manage("demo", "--port", port, data=tmp_path)
    assert started.returncode == 1
    assert f"127.0.0.1 cannot use port {port} (" in started.stderr
    assert "Choose another port, for example: --port 8080" in started.stderr
    assert "Traceback" not in started.stderr


def test_secret_key_is_kept_from_others(sqlite_site: Site, tmp_path: Path) -> None:
    key = Path(sqlite_site.environment["REDLETTER_DATA"]) / "secret-key"
    assert len(key.read_text()) > 50
    assert key.stat().st_mode & 0o077 == 0
    show = "from django.conf import settings; print(settings.SECRET_KEY)"
    named = manage(
        *("shell", "--no-imports", "-c", show), data=tmp_path, SECRET_KEY="of-another"
    )
    assert named.stdout.strip() == "of-another"
    assert not (tmp_path / "secret-key").exists()


def test_errors_of_the_server_have_a_page(copy: Path, tmp_path: Path) -> None:
    with (
        demo(tmp_path, environment(copy), "--no-seed") as site,
        site.client() as client,
    ):
        unknown = client.get("/", headers={"Host": "elsewhere.example"})
        assert unknown.status_code == 400
        assert "This request makes no sense" in unknown.text

        (copy / "db.sqlite3").write_bytes(b"This was a database once.")
        for rest in copy.glob("db.sqlite3-*"):
            rest.unlink()
        broken = client.get("/countries/")
        assert broken.status_code == 500
        assert "Something broke" in broken.text
        # What needs no database still works.
        assert client.get("/about/").status_code == 200
        site.stop(signal.SIGINT)
        assert "file is not a database" in site.output()


def test_upstream_that_is_away_is_told(copy: Path, tmp_path: Path) -> None:
    """The page stands, each service says that it could not be reached."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))  # nobody listens on it
        away = f"http://127.0.0.1:{sock.getsockname()[1]}"

        def uvicorn(port: int) -> list[str]:
            return ["-m", "uvicorn", "redletter.asgi:application", f"--port={port}"]

        # All other servers have the handler of this package.
        variables = environment(copy, UPSTREAM_URL=away, EXECUTION_LAYER="0")
        with served(uvicorn, tmp_path, variables) as site, site.client() as client:
            response = client.get("/briefing/2026/12/25/")
            assert response.status_code == 200
            assert response.text.count("The service could not be reached.") == 6
            about = client.get("/about/").text
            assert "Django's ASGI handler serves this site." in about
            assert "Worker threads" not in about
