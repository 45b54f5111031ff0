"""Objects as newline-delimited JSON: each is a line."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder

__all__ = ["encode_ndjson"]

# JSON allows these characters in a string, but some readers end a line there.
_LINE_ENDS = {"\x85": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def encode_ndjson(
    items: Iterable[Any], *, encoder: type[json.JSONEncoder] = DjangoJSONEncoder
) -> bytes:
    """
    Return each item as a line of JSON in UTF-8.

    Numbers that JSON does not have, NaN and the infinities, become null.

    Args:
        items: What `encoder` takes.
        encoder: The class that makes JSON of the items.
    """
    made = encoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    lines = []
    for item in items:
        try:
            lines.append(made.encode(item))
        except ValueError:
            lines.append(made.encode(_finite(item)))
    text = "\n".join([*lines, ""])
    if not text.isascii():
        for character, escaped in _LINE_ENDS.items():
            text = text.replace(character, escaped)
    # A lone surrogate has no UTF-8. backslashreplace writes it as JSON does.
    return text.encode(errors="backslashreplace")


def _finite(value: Any) -> Any:
    """Return it with None in the place of what is no number of JSON's."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return value
