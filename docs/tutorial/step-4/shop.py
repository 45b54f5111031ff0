import json
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

DELAY = 1  # seconds
ANSWERS = {
    "/prices": {"Bleak House": 15, "Emma": 12, "Persuasion": 9},
    "/stock": {"Bleak House": 0, "Emma": 3, "Persuasion": 1},
}


class Shop(BaseHTTPRequestHandler):
    def do_GET(self):
        time.sleep(DELAY)
        body = json.dumps(ANSWERS[self.path]).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", 8001), Shop).serve_forever()
