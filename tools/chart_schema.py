#!/usr/bin/env python3
"""The part of helm/merpati/values.schema.json that describes Merpati's own configuration, made from
proto/merpati/config/v1/*.proto, so that a mistyped key in `config` or `services.<name>.config` is refused by helm.

usage: tools/chart_schema.py          writes the definitions "config.*" into the schema
       tools/chart_schema.py --check  fails when they are not current
"""
import json
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
SCHEMA = ROOT / "helm/merpati/values.schema.json"
PREFIX = "config."

MESSAGE = re.compile(r"^message (\w+) \{\n(.*?)^\}", re.M | re.S)
ENUM = re.compile(r"^enum (\w+) \{\n(.*?)^\}", re.M | re.S)
FIELD = re.compile(r"^  (repeated )?([\w.]+) (\w+) = \d+(?: \[(.*)\])?;", re.M)
VALUE = re.compile(r"^  (\w+) = (\d+);", re.M)

SCALARS = {
    "string": {"type": "string"},
    "bool": {"type": "boolean"},
    "uint32": {"type": "integer", "minimum": 0},
    "uint64": {"type": "integer", "minimum": 0},
    "double": {"type": "number"},
    "google.protobuf.Duration": {"type": "string", "pattern": r"^([0-9]+(\.[0-9]+)?(ms|us|ns|d|h|m|s))+$"},
}
SIZE = {"type": ["integer", "string"], "pattern": "^[0-9]+([KMGT]i?B|B)?$", "minimum": 0}


def enum_names(name, body):
    """TLS_MODE_IMPLICIT of TlsMode is written IMPLICIT."""
    prefix = re.sub(r"(?<!^)(?=[A-Z])", "_", name).upper() + "_"
    return [value.removeprefix(prefix) for value, number in VALUE.findall(body) if number != "0"]


def definitions():
    text = "\n".join(path.read_text() for path in sorted((ROOT / "proto/merpati/config/v1").glob("*.proto")))
    enums = {name: {"enum": enum_names(name, body)} for name, body in ENUM.findall(text)}
    found = {}
    for name, body in MESSAGE.findall(text):
        properties = {}
        for repeated, kind, field, options in FIELD.findall(body):
            if "(secret) = true" in options:
                # A value would stand in a ConfigMap for all to read; only a path may.
                properties[field + "_file"] = {"type": "string"}
                continue
            if "(size) = true" in options:
                schema = SIZE
            elif kind in SCALARS:
                schema = SCALARS[kind]
            elif kind in enums:
                schema = enums[kind]
            else:
                schema = {"$ref": f"#/$defs/{PREFIX}{kind}"}
            properties[field] = {"type": "array", "items": schema} if repeated else schema
        found[PREFIX + name] = {"type": "object", "additionalProperties": False, "properties": properties}
    return found


def reachable(kept, found):
    """The definitions that the chart's own part refers to, and those that they refer to."""
    wanted, text = {}, json.dumps(kept)
    while names := {name for name in re.findall(r"#/\$defs/(config\.\w+)", text)} - wanted.keys():
        wanted.update({name: found[name] for name in names})
        text = json.dumps([found[name] for name in names])
    return wanted


def dump(value, indent=""):
    """JSON in which whatever fits is on one line."""
    flat = json.dumps(value)
    if len(indent) + len(flat) <= 116 or not isinstance(value, (dict, list)) or not value:
        return flat
    inner = indent + "  "
    if isinstance(value, list):
        return "[\n" + ",\n".join(inner + dump(item, inner) for item in value) + "\n" + indent + "]"
    rows = (f"{inner}{json.dumps(key)}: {dump(item, inner)}" for key, item in value.items())
    return "{\n" + ",\n".join(rows) + "\n" + indent + "}"


def main():
    old = SCHEMA.read_text()
    schema = json.loads(old)
    kept = {name: value for name, value in schema["$defs"].items() if not name.startswith(PREFIX)}
    schema["$defs"] = {**kept, **dict(sorted(reachable([schema["properties"], kept], definitions()).items()))}
    new = dump(schema) + "\n"
    if "--check" in sys.argv[1:]:
        if new != old:
            sys.exit(f"{SCHEMA.relative_to(ROOT)} is not current: run tools/chart_schema.py")
        return
    SCHEMA.write_text(new)


if __name__ == "__main__":
    main()
