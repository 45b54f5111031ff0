"""Validate the JSON of the audit by the schema that the package brings."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

SCHEMA = json.loads(files("django_async_cbv.audit").joinpath("schema.json").read_text())
_TYPES = {
    "array": list,
    "boolean": bool,
    "integer": int,
    "null": type(None),
    "object": dict,
    "string": str,
}


def wrong_with(value: Any, schema: Any = SCHEMA, at: str = "$") -> list[str]:
    """Where a value is not as a schema says, of what this schema makes use of."""
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    if not any(type(value) is _TYPES[one] for one in types):
        return [f"{at} is no {types}"]
    found = []
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{at} is {value!r}")
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        found += [f"{at} lacks {one}" for one in properties.keys() - value.keys()]
        found += [f"{at} has {one}" for one in value.keys() - properties.keys()]
        for name in properties.keys() & value.keys():
            found += wrong_with(value[name], properties[name], f"{at}.{name}")
    if isinstance(value, list):
        for number, one in enumerate(value):
            found += wrong_with(one, schema["items"], f"{at}[{number}]")
    return found
