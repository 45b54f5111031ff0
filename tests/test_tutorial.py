"""The tutorial works: its files and commands, step by step, in an empty folder."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

import pytest

import django_async_cbv

DOCS = Path(__file__).parent.parent / "docs" / "tutorial"
PAGES = sorted(DOCS.glob("[0-9]-*.md"))
# What a reader installs is installed here. These commands are not run.
PREPARE = {
    "mkdir mysite",
    "cd mysite",
    "python3 -m venv .venv",
    "source .venv/bin/activate",
    "python -m pip install django-async-cbv httpx",
    "python -m pip install uvicorn",
}
SITE, SHOP = "127.0.0.1:8000", "127.0.0.1:8001"
SERVERS = {
    "python manage.py runserver": "python manage.py runserver --noreload {site}",
    "python shop.py": "python shop.py",
    "python -m uvicorn mysite.asgi:application": (
        "python -m uvicorn mysite.asgi:application --port {port}"
    ),
}
SECONDS = 60
FENCE = re.compile(
    r"^```(?:\{(?P<directive>[\w-]+)\} ?)?(?P<argument>[^\n]*)\n"
    r"(?P<options>(?::[\w-]+:[^\n]*\n)*)\n?(?P<body>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
# Runs one command after the other, each in a fork: Django is imported only once.
RUNNER = """
import json, os, runpy, sys, traceback
import django.contrib.admin, django.core.management, django.db.models, django.test
import django.views.generic, httpx

for line in sys.stdin:
    (_, *sys.argv), output = json.loads(line)
    if (pid := os.fork()) == 0:
        file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, 1)
        os.dup2(file, 2)
        # As in a terminal, whatever the runner's own output is.
        sys.stdout.reconfigure(line_buffering=True)
        sys.path.insert(0, os.getcwd())
        code = 0
        try:
            runpy.run_path(sys.argv[0], run_name="__main__")
        except SystemExit as stop:
            code = stop.code or 0
        except BaseException:
            traceback.print_exc()
            code = 1
        sys.stdout.flush()
        os._exit(code)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


@dataclass
class Step:
    """A fenced block of a page."""

    kind: str
    caption: str
    argument: str
    body: str


def steps(page: Path) -> list[Step]:
    found = []
    for fence in FENCE.finditer(page.read_text(encoding="utf-8")):
        options = dict(re.findall(r":([\w-]+): *([^\n]*)", fence["options"]))
        kind = fence["directive"] or fence["argument"]
        if kind != "toctree":
            caption = options.get("caption", "")
            found.append(Step(kind, caption, fence["argument"], fence["body"]))
    return found


def commands(body: str) -> list[tuple[str, str]]:
    """The commands of a console block, each with the output that the page shows."""
    parts = re.split(r"^\$ ", body, flags=re.MULTILINE)
    assert not parts[0], body
    return [
        (command, output)
        for command, _, output in (part.partition("\n") for part in parts[1:])
    ]


def is_like(shown: str, real: str) -> bool:
    """Whether an output is what the page shows, where `...` stands for any text."""
    pattern = ".*".join(re.escape(part) for part in shown.strip().split("..."))
    return re.fullmatch(pattern, real.strip(), re.DOTALL) is not None


class Text(HTMLParser):
    """The text of a page, as a browser shows it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.parts: list[str] = []
        self.tag = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tag = tag

    def handle_data(self, data: str) -> None:
        if self.tag != "title" and (text := " ".join(data.split())):
            self.parts.append(text)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class Reader:
    """Does what the pages say."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.output = folder.parent / "output"
        self.ports = {SITE: free_port(), SHOP: free_port()}
        self.servers: dict[str, subprocess.Popen[bytes]] = {}
        self.environment = os.environ | {
            "PYTHONPATH": str(Path(django_async_cbv.__file__).parents[1]),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        self.environment.pop("DJANGO_SETTINGS_MODULE", None)
        self.runner = subprocess.Popen(
            [sys.executable, "-c", RUNNER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=folder,
            env=self.environment,
        )

    def close(self) -> None:
        for server in [self.runner, *self.servers.values()]:
            server.kill()
            server.wait()
        self.runner.stdin.close()
        self.runner.stdout.close()

    def follow(self, step: Step) -> None:
        if step.kind == "literalinclude":
            self.write(step.caption, (DOCS / step.argument).read_text())
        elif step.caption.startswith("http://"):
            self.visit(step)
        elif step.kind == "code-block":
            self.replace(step.caption, step.body)
        else:
            assert step.kind == "console"
            for command, output in commands(step.body):
                self.run(command, output)

    def write(self, name: str, text: str) -> None:
        for address, port in self.ports.items():
            text = text.replace(address, f"127.0.0.1:{port}")
        if name == "shop.py":
            text = text.replace("8001", str(self.ports[SHOP]))
            text = text.replace("DELAY = 1 ", "DELAY = 0.05 ")
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def replace(self, name: str, text: str) -> None:
        """Replace the list that a block assigns."""
        path = self.folder / name
        start = text.partition("\n")[0]
        pattern = rf"^{re.escape(start)}\n.*?^\]\n"
        new, count = re.subn(
            pattern, text, path.read_text(), flags=re.DOTALL | re.MULTILINE
        )
        assert count == 1
        path.write_text(new, encoding="utf-8")

    def run(self, command: str, shown: str) -> None:
        if command in PREPARE:
            return
        if command in SERVERS:
            self.serve(command)
            return
        arguments = shlex.split(command)
        if arguments[0] == "django-admin":
            arguments = ["python", str(self.admin()), *arguments[1:]]
        code, said = self.python(arguments)
        assert code == 0, said
        assert is_like(shown, said), said

    def admin(self) -> Path:
        """The script that pip installs as `django-admin`."""
        path = self.folder.parent / "django-admin"
        path.write_text(
            "from django.core.management import execute_from_command_line\n"
            "execute_from_command_line()\n"
        )
        return path

    def python(self, arguments: list[str]) -> tuple[int, str]:
        self.runner.stdin.write(json.dumps([arguments, str(self.output)]) + "\n")
        self.runner.stdin.flush()
        code = int(self.runner.stdout.readline())
        return code, self.output.read_text(encoding="utf-8")

    def serve(self, command: str) -> None:
        """Start a server; the site's new one takes the place of the old one."""
        address = SHOP if "shop" in command else SITE
        if address in self.servers:
            old = self.servers.pop(address)
            old.kill()
            old.wait()
        port = self.ports[address]
        real = SERVERS[command].format(site=f"127.0.0.1:{port}", port=port)
        with (self.folder.parent / "servers").open("ab") as log:
            self.servers[address] = subprocess.Popen(
                [sys.executable, *shlex.split(real)[1:]],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=self.environment,
            )
        deadline = time.monotonic() + SECONDS
        while True:
            with (
                contextlib.suppress(OSError),
                socket.create_connection(("127.0.0.1", port)),
            ):
                return
            assert time.monotonic() < deadline
            assert self.servers[address].poll() is None
            time.sleep(0.02)

    def visit(self, step: Step) -> None:
        """Compare a page with the text that the tutorial shows, but for the seconds."""
        path = step.caption.removeprefix(f"http://{SITE}")
        html = self.page(path)
        shown = [line for line in step.body.splitlines() if line]
        seconds = r"\d+\.\d seconds"
        assert [re.sub(seconds, "", one) for one in Text(html).parts] == [
            re.sub(seconds, "", one) for one in shown
        ]
        self.html = html

    def page(self, path: str) -> str:
        """The page of the files as they are now: a server reads files again later."""
        self.write(
            "visit.py",
            "import os, django\n"
            "os.environ['DJANGO_SETTINGS_MODULE'] = 'mysite.settings'\n"
            "django.setup()\n"
            "from django.test import Client\n"
            f"response = Client(headers={{'host': 'localhost'}}).get({path!r})\n"
            "print(response.content.decode())\n",
        )
        code, html = self.python(["python", "visit.py"])
        assert code == 0, html
        return html

    def served(self, path: str) -> str:
        """The same page from the server that runs."""
        address = f"http://127.0.0.1:{self.ports[SITE]}{path}"
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(address, timeout=SECONDS) as response:
            return response.read().decode()


@pytest.fixture
def reader(tmp_path):
    folder = tmp_path / "mysite"
    folder.mkdir()
    reader = Reader(folder)
    try:
        yield reader
    finally:
        reader.close()


def seconds(html: str) -> float:
    return float(re.search(r"(\d+\.\d) seconds", html)[1])


def at_once(text: str) -> str:
    """The shop, so that it answers two requests together and none alone."""
    barrier = f"threading.Barrier(2, timeout={SECONDS})"
    return text.replace(
        "DELAY = ", f"import threading\nMEET = {barrier}\nDELAY = "
    ).replace("time.sleep(DELAY)", "MEET.wait()")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the commands run in forks")
def test_every_step(reader):
    """A page in turn is followed by one that works only if both calls overlap."""
    assert [page.stem for page in PAGES] == [
        "1-project",
        "2-views",
        "3-async",
        "4-await",
        "5-test-and-serve",
    ]
    for page in PAGES:
        for step in steps(page):
            if step.argument == "step-4/library/views.py":
                shop = reader.folder / "shop.py"
                shop.write_text(at_once(shop.read_text()))
                reader.serve("python shop.py")
            reader.follow(step)
        if "2-" in page.stem or "5-" in page.stem:
            assert Text(reader.served("/")).parts[0] == "Books"


def test_every_file_is_shown():
    shown = {
        step.argument
        for page in PAGES
        for step in steps(page)
        if step.kind == "literalinclude"
    }
    files = {
        path.relative_to(DOCS).as_posix()
        for path in DOCS.glob("step-*/**/*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert files == shown


def test_the_first_page_links_each_step_and_shows_the_end():
    text = (DOCS / "index.md").read_text(encoding="utf-8")
    for number, page in enumerate(PAGES, 1):
        assert f"{number}. {{doc}}`{page.stem}`" in text
    [picture] = re.findall(r"```text\n(.*?)```", text, re.DOTALL)
    last = [step.body for step in steps(PAGES[-1]) if step.caption][-1]
    assert last.strip() == picture.strip()
