"""What there is to run: the rows of workloads.list and programs.list, and the scaling curves."""

import fnmatch
import os
import shlex
from dataclasses import dataclass
from typing import Optional

GROUPS = ("single", "server", "sharing", "large", "memory", "latency", "stacks", "program")


@dataclass
class Row:
    name: str
    program: str
    group: str
    arguments: list
    memory: str          # "peak", or the name of the metric that counts
    timeout: float       # seconds, at scale 1
    real: bool           # a program of programs.list, not a C workload
    wrapper: Optional[str] = None  # its file, if it starts the measured program by itself
    executable: str = ""


@dataclass
class Curve:
    """A C workload whose metric "operation" is drawn over one of its options."""
    name: str
    option: str
    values: list
    label: str
    program: str = "scaling"
    group: str = "curve"
    real: bool = False


CURVES = [
    Curve("curve-live", "live", "1m 4m 16m 64m 256m 1g 4g 8g".split(), "live heap, bytes"),
    Curve("curve-threads", "threads", "1 2 4 8 16 32 64".split(), "threads"),
    Curve("curve-size", "size", "8 64 512 4k 32k 256k 2m 16m 64m".split(),
          "size of an object, bytes"),
]


def parse_bytes(text):
    units = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
    return int(text[:-1]) * units[text[-1]] if text[-1] in units else int(text)


def read_list(path, programs, real):
    rows = []
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            line = line.strip()
            if not line or line.startswith("#"):
                continue
            fields = [text.strip() for text in line.split("|")]
            if len(fields) != 6 or fields[2] not in GROUPS:
                raise ValueError(f"{path}:{number}: not name | program | group | arguments | "
                                 f"memory | timeout: {line}")
            name, program, group, arguments, memory, timeout = fields
            file_here = os.path.join(programs, program)
            rows.append(Row(name, program, group, shlex.split(arguments), memory, float(timeout),
                            real, file_here if real and os.path.isfile(file_here) else None))
    return rows


def read_all(bench):
    programs = os.path.join(bench, "programs")
    return (read_list(os.path.join(bench, "workloads.list"), programs, False)
            + read_list(os.path.join(bench, "programs.list"), programs, True))


def matches(row, pattern):
    return pattern in row.name or fnmatch.fnmatch(row.name, pattern) or pattern == row.group


def chosen(row, options):
    wanted = options.only is None or any(matches(row, pattern) for pattern in options.only)
    return wanted and not any(matches(row, pattern) for pattern in options.skip)
