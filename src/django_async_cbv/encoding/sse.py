"""Server-sent events as bytes, as the HTML standard has them."""

from __future__ import annotations

import json
import re
import reprlib
from dataclasses import KW_ONLY, dataclass
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.utils.functional import Promise

__all__ = [
    "HEARTBEAT",
    "LONGEST_ID",
    "Event",
    "check_id",
    "encode_event",
    "encode_fields",
    "encode_retry",
]

#: A comment, which clients leave out.
HEARTBEAT = b":\n\n"

#: Characters of the longest id that a view reads.
LONGEST_ID = 255

# What ends a line to a client, which is less than str.splitlines() takes for one.
_LINE_END = re.compile(r"\r\n|\r|\n")
_SURROGATE = re.compile("[\ud800-\udfff]")
# Clients drop the spaces at the ends of a header. Servers answer 400 to most control
# characters in a header, and Daphne to some letters that are not ASCII. EventSource
# gives up for good then.
_ID = re.compile(rf"(?:[!-~](?:[ -~]{{0,{LONGEST_ID - 2}}}[!-~])?)?")


@dataclass(frozen=True, slots=True)
class Event:
    """
    One server-sent event.

    Args:
        data: Text, or something that becomes JSON. None sends no data, and a
            browser then fires no event.
        event: The name that the browser's `addEventListener()` gets. Without a
            name it is "message".
        id: The browser returns the last id when it connects again. At most 255
            printable ASCII characters, without a space at either end.
        retry: After how many milliseconds the browser connects again.
        comment: Text that clients ignore.

    Raises:
        ValueError: If a name, an id or a time cannot be sent.
    """

    data: Any = None
    _: KW_ONLY
    event: str | None = None
    id: str | None = None
    retry: int | None = None
    comment: str | None = None

    def __post_init__(self) -> None:
        """Refuse what a client would take for something else."""
        _check_event(self.event)
        if self.id is not None:
            check_id(self.id)
        if self.retry is not None and (type(self.retry) is not int or self.retry < 0):
            raise ValueError(
                f"retry={self.retry!r} is not a number of milliseconds. Pass an int, "
                "for example `retry=3000`."
            )


def _check_event(value: Any) -> None:
    if value is not None and (
        not isinstance(value, str) or _LINE_END.search(value) or "\0" in value
    ):
        raise ValueError(
            f"event={value!r} is not one line of text without a NUL. A browser would "
            "read another field in it. Pass one line, for example `event='prices'`."
        )


def check_id(value: Any) -> None:
    """Raise ValueError for an id that does not come back as it was sent."""
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise ValueError(
            f"id={reprlib.repr(value)} is not text of at most {LONGEST_ID} printable "
            "ASCII characters without a space at either end. A browser cannot return "
            "this id through every server, so it would miss events. Write "
            "`id=urllib.parse.quote(str(value))`, and read "
            "`urllib.parse.unquote(self.last_event_id)`."
        )


def encode_event(item: Any) -> bytes:
    """Encode an Event, text, or what becomes JSON."""
    if not isinstance(item, Event):
        return encode_fields(item)
    data = () if item.data is None else (item.data,)
    return encode_fields(
        *data, event=item.event, id=item.id, retry=item.retry, comment=item.comment
    )


def encode_fields(
    *data: Any,
    event: str | None = None,
    id: str | None = None,  # noqa: A002 - the name in the standard
    retry: int | None = None,
    comment: str | None = None,
) -> bytes:
    """Encode one event; `data` is one value, or none."""
    lines = [f": {line}" for line in _lines(comment)]
    if event is not None:
        lines.append(f"event: {event}")
    if id is not None:
        lines.append(f"id: {id}")
    if retry is not None:
        lines.append(f"retry: {retry}")
    for value in data:
        # Text that is translated lazily is text. The encoder would put it in quotes.
        is_text = isinstance(value, str | Promise)
        text = str(value) if is_text else _as_json(value)
        lines += [f"data: {line}" for line in _lines(text)]
    return _as_bytes("\n".join([*lines, "", ""])) if lines else b""


def encode_retry(milliseconds: int) -> bytes:
    """Tell the client when to connect again; no event."""
    return f"retry: {milliseconds}\n\n".encode()


def _lines(text: str | None) -> list[str]:
    return [] if text is None else _LINE_END.split(str(text))


def _as_json(value: Any) -> str:
    # A browser's JSON.parse() knows no NaN.
    return json.dumps(value, cls=DjangoJSONEncoder, ensure_ascii=False, allow_nan=False)


def _as_bytes(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        # Half of a pair, as Python reads it from JSON for example.
        return _SURROGATE.sub("\ufffd", text).encode()
