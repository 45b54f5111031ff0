"""What the examples of the documentation use: models, and a slow service to call.

Import it in a comment of the page (see `conftest.py` at the root). `SERVICE` is the
address of a server in a thread of this process, which answers `/prices`, `/stock`, …
with JSON.
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.models import Author, Book

__all__ = ["SERVICE", "Author", "Book"]


class Service(BaseHTTPRequestHandler):
    """Answers every path with its own name."""

    def do_GET(self) -> None:
        content = json.dumps({self.path.strip("/"): "from the service"}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
threading.Thread(target=server.serve_forever, daemon=True).start()

SERVICE = f"http://127.0.0.1:{server.server_port}"
