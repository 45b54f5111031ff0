"""What a proxy makes of a stream, with the settings that the docs show."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import pytest

from tests.streams.serving import (
    ROOT,
    SINGLE,
    Client,
    Server,
    free_port,
    serving,
    until,
)

pytestmark = pytest.mark.server

DOCS = ROOT / "docs" / "how-to" / "stream" / "streams.md"
# The folder of some programs is not on the PATH of all users.
PROGRAMS = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"])
NGINX = """
daemon off;
pid {folder}/nginx.pid;
{user}
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/bodies;
    proxy_temp_path {folder}/proxied;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        {settings}
    }}
}}
"""
# Debian's folder of modules.
APACHE = """
ServerName 127.0.0.1
Listen 127.0.0.1:{port}
PidFile {folder}/apache.pid
ErrorLog {folder}/apache.log
Mutex posixsem
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule proxy_module /usr/lib/apache2/modules/mod_proxy.so
LoadModule proxy_http_module /usr/lib/apache2/modules/mod_proxy_http.so
{user}
{settings}
"""


@dataclass
class Proxy:
    """A proxy that runs, and the server behind it."""

    name: str
    port: int
    server: Server

    def get(self, path: str, host: str = "127.0.0.1") -> Client:
        return Client(self.port, path, host=host)

    def answers(self) -> bool:
        with suppress(OSError), self.get("/") as client:
            client.sock.settimeout(5)
            client.read_until(b"a page")
            return True
        return False


def shown(language: str) -> str:
    """The settings of the docs, in the one block of this language."""
    [found] = re.findall(
        rf"^```{language}\n(.*?)^```", DOCS.read_text(), re.MULTILINE | re.DOTALL
    )
    assert "127.0.0.1:8000" in found
    return found


@contextmanager
def proxying(name, server, folder, **changes):
    """Run a proxy in front of a server, with other values for some settings."""
    program = shutil.which({"nginx": "nginx", "apache": "apache2"}[name], path=PROGRAMS)
    if program is None:
        pytest.skip(f"Proxy: no {name} on this machine")
    settings = shown(name).replace(":8000", f":{server.port}")
    for old, new in changes.items():
        settings = re.sub(rf"{old} \S+;", f"{old} {new};", settings)
    config, port = folder / name, free_port()
    is_root = os.geteuid() == 0
    if name == "nginx":
        text, user = NGINX, "user root;" if is_root else ""
        command = [program, "-e", "stderr", "-p", str(folder), "-c", str(config)]
    else:
        text, user = APACHE, "User nobody\nGroup nogroup" if is_root else ""
        command = [program, "-DFOREGROUND", "-f", str(config)]
    config.write_text(
        text.format(folder=folder, port=port, user=user, settings=settings)
    )
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, start_new_session=True
    ) as process:
        try:
            proxy = Proxy(name, port, server)
            until(proxy.answers)
            yield proxy
        finally:
            # Its workers are in its group. Apache would wait for open connections.
            os.killpg(process.pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving(SINGLE, tmp_path_factory.mktemp("proxied")) as found:
        yield found


@pytest.fixture(scope="module", params=["nginx", "apache"])
def proxy(request, server, tmp_path_factory):
    with proxying(request.param, server, tmp_path_factory.mktemp("proxy")) as found:
        yield found


def test_each_part_arrives_at_once(proxy):
    # The generator of the one waits, those of the others have not ended yet.
    for path, parts in {
        "/idle/": [b"first"],
        "/busy/": [b"data: 0\n", b"data: 1\n", b"data: 2\n"],
        "/export.csv": [b"row 0", b"row 1"],
    }.items():
        with proxy.get(path) as client:
            for part in parts:
                client.read_until(part)
            assert not client.is_complete


def test_django_gets_the_host(proxy):
    """It compares that with ALLOWED_HOSTS, and with the origin of a POST."""
    with proxy.get("/", "example.com") as client:
        client.read_until(b"400 Bad Request")


@pytest.mark.parametrize("name", ["busy", "beating"])
def test_a_client_that_goes_from_a_stream_that_sends(proxy, name):
    """One that is silent but for its heartbeat ends at that."""
    before = proxy.server.said(f"ended {name}")
    with proxy.get(f"/{name}/") as client:
        client.read_until(b"data: ")
    until(lambda: proxy.server.said(f"ended {name}") > before)


def test_a_client_that_goes_from_a_silent_stream(server, tmp_path):
    with proxying("nginx", server, tmp_path) as proxy:
        before = server.said("ended idle")
        with proxy.get("/idle/") as client:
            client.read_until(b"first")
        # Before the stream's next heartbeat, which Apache would wait for.
        until(lambda: server.said("ended idle") > before, 10)


def test_a_stream_that_is_silent_for_too_long(server, tmp_path):
    with proxying("nginx", server, tmp_path, proxy_read_timeout="2s") as proxy:
        with proxy.get("/idle/") as client:
            client.read_to_the_end()
            assert b"first" in client.received
            assert not client.is_complete
        with proxy.get("/beating/") as client:
            # Six heartbeats take longer than the timeout.
            while client.received.count(b":\n\n") < 6:
                data = client.sock.recv(65536)
                assert data, client.received
                client.received += data
