"""Read a page as a browser and a screen reader would: links, forms, labels."""

from __future__ import annotations

import os
import struct
import zlib
from collections import Counter
from dataclasses import dataclass, field
from html.parser import HTMLParser

import httpx


@dataclass
class Form:
    """A form of a page, with the values that it comes with."""

    action: str
    method: str
    in_main: bool
    fields: dict[str, str | list[str]] = field(default_factory=dict)


class Page(HTMLParser):
    """What is on a page."""

    def __init__(self, response: httpx.Response) -> None:
        super().__init__()
        self.links: list[str] = []
        self.resources: list[str] = []
        self.forms: list[Form] = []
        self.ids: list[str] = []
        self.labelled: set[str] = set()
        self.controls: list[dict[str, str]] = []
        self.headings = Counter[str]()
        self.language = ""
        self.without_alternative: list[str] = []
        self.data: dict[str, str] = {}
        self._select: str | None = None
        self._in_label = False
        self._in_main = False
        self.feed(response.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if "id" in found:
            self.ids.append(found["id"])
        self.data.update({k: v for k, v in found.items() if k.startswith("data-")})
        match tag:
            case "main":
                self._in_main = True
            case "html":
                self.language = found.get("lang", "")
            case "a" if "href" in found:
                self.links.append(found["href"])
            case "link" | "script" | "img":
                address = found.get("href") or found.get("src")
                self.resources += [address] if address else []
                if tag == "img" and "alt" not in found:
                    self.without_alternative.append(found["src"])
            case "form":
                self.forms.append(
                    Form(
                        found.get("action", ""),
                        found.get("method", "get"),
                        in_main=self._in_main,
                    )
                )
            case "label":
                self._in_label = True
                self.labelled.add(found.get("for", ""))
            case "input" | "select" | "textarea":
                self._control(tag, found)
            case "option" if self._select and "selected" in found:
                self.forms[-1].fields[self._select] = found.get("value", "")
            case "h1" | "h2" | "h3":
                self.headings[tag] += 1

    def handle_endtag(self, tag: str) -> None:
        if tag == "select":
            self._select = None
        if tag == "label":
            self._in_label = False

    def _control(self, tag: str, found: dict[str, str]) -> None:
        kind = found.get("type", "text")
        if kind not in {"hidden", "submit"} and not self._in_label:
            self.controls.append(found)
        if tag == "select":
            self._select = found.get("name")
        if not self.forms or "name" not in found or kind == "file":
            return
        name, value = found["name"], found.get("value", "")
        if kind == "checkbox":
            if "checked" in found:
                values = self.forms[-1].fields.setdefault(name, [])
                assert isinstance(values, list)
                values.append(value or "on")
        else:
            self.forms[-1].fields[name] = value

    def form(self, *names: str) -> Form:
        """Return the one form of the page's own that has fields of these names."""
        (found,) = (
            form
            for form in self.forms
            if form.in_main and all(name in form.fields for name in names)
        )
        return found

    def unlabelled(self) -> list[dict[str, str]]:
        """Return the controls that a screen reader cannot name."""
        return [
            control
            for control in self.controls
            if control.get("id") not in self.labelled and "aria-label" not in control
        ]


def submit(
    client: httpx.Client,
    address: str,
    *,
    files: dict[str, tuple[str, bytes, str]] | None = None,
    follow: bool = True,
    **values: str | list[str],
) -> httpx.Response:
    """Fill the form on the page at `address` in and send it, as a browser does.

    `values` are put over those that the form comes with; they have to be fields of it,
    or countries, which come without a value while none is ticked.
    """
    response = client.get(address)
    assert response.status_code == 200, response
    form = Page(response).form(
        "csrfmiddlewaretoken", *sorted({*values} - {"countries"})
    )
    return client.post(
        form.action or address,
        data={**form.fields, **values},
        files=files,
        headers={"Referer": str(response.url)},
        follow_redirects=follow,
    )


def png(side: int) -> bytes:
    """Return a picture of noise, about three bytes a pixel: it cannot be compressed."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    rows = b"".join(b"\0" + os.urandom(3 * side) for _ in range(side))
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows, 0))
        + chunk(b"IEND", b"")
    )
