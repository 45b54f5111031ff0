"""`manage.py demo`: the whole site with one command."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from typing import TYPE_CHECKING, Any

import uvicorn
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from briefing.upstream import app as upstream
from redletter.asgi import application

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Iterator


class Server(uvicorn.Server):
    """A Uvicorn server that leaves signals to the command, which runs two."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


def bound(host: str, port: int) -> socket.socket:
    """
    Return a socket on this port, or on any free port for 0.

    Raise CommandError if the port is taken.
    """
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    if os.name == "posix":
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        raise CommandError(
            f"{host} cannot use port {port} ({error.strerror}). "
            "Choose another port, for example: --port 8080"
        ) from error
    return sock


class Command(BaseCommand):
    """Migrate, seed, and serve site and upstream services under Uvicorn."""

    help = (
        "Migrate, seed and serve the site with its upstream services; Ctrl-C stops it."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Where to serve."""
        parser.add_argument("--host", default="127.0.0.1", help="address (%(default)s)")
        parser.add_argument(
            "--port",
            type=int,
            default=8000,
            help="port, 0 for any free one (%(default)s)",
        )
        parser.add_argument(
            "--upstream-port",
            type=int,
            default=0,
            help="port of the upstream services, 0 for any free one (%(default)s)",
        )
        parser.add_argument(
            "--no-seed", action="store_true", help="leave the data as it is"
        )

    def handle(
        self, *, host: str, port: int, upstream_port: int, no_seed: bool, **options: Any
    ) -> None:
        """Prepare the database, then serve until SIGINT or SIGTERM."""
        # First the ports, so that a user who has to choose another one does not wait
        # for the data.
        with bound(host, port) as site, bound("127.0.0.1", upstream_port) as services:
            call_command("migrate", verbosity=0)
            if not no_seed:
                call_command("seed", stdout=self.stdout)
            # Known only now. The views read the setting in each request.
            settings.UPSTREAM_URL = f"http://127.0.0.1:{services.getsockname()[1]}"
            shown = f"[{host}]" if ":" in host else host
            self.stdout.write(f"Upstream services: {settings.UPSTREAM_URL}")
            self.stdout.write(
                self.style.SUCCESS(
                    f"Red Letter Days: http://{shown}:{site.getsockname()[1]}/"
                )
            )
            self.stdout.write("Ctrl-C stops it.")
            self.stdout.flush()
            asyncio.run(self.serve(site, services))
        self.stdout.write("Stopped.")

    async def serve(self, site: socket.socket, services: socket.socket) -> None:
        """Run both servers until a signal. A second signal ends the requests too."""
        servers = [
            Server(uvicorn.Config(application, lifespan="off", log_level="warning")),
            Server(uvicorn.Config(upstream, log_level="warning")),
        ]

        def stop(*args: Any) -> None:
            for server in servers:
                server.force_exit = server.should_exit
                server.should_exit = True

        before = {s: signal.signal(s, stop) for s in (signal.SIGINT, signal.SIGTERM)}
        try:
            async with asyncio.TaskGroup() as group:
                for server, sock in zip(servers, (site, services), strict=True):
                    group.create_task(server.serve(sockets=[sock]))
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
