#!/usr/bin/env python3
"""Checks the text of the sources: short lines, no notes of unfinished work, a newline at the end.

    text.py ROOT
"""
import re
import sys
from pathlib import Path

MAX_COLUMNS = 100
GENERATED = {"sizeclass_table.h"}
UNFINISHED = re.compile(r"\b(T[O]DO|FIX[M]E|X[X]X)\b")


def check_file(path):
    text = path.read_text(encoding="utf-8")
    if not text.endswith("\n"):
        yield len(text.splitlines()), "the file does not end with a newline"
    for number, line in enumerate(text.splitlines(), 1):
        if len(line) > MAX_COLUMNS:
            yield number, f"{len(line)} columns, limit {MAX_COLUMNS}"
        if UNFINISHED.search(line):
            yield number, "unfinished work"


def main():
    root = Path(sys.argv[1])
    files = [path for directory in ("src", "arch", "include")
             for path in sorted((root / directory).rglob("*"))
             if path.suffix in (".c", ".h") and path.name not in GENERATED]
    faults = [f"{path.relative_to(root)}:{number}: {fault}"
              for path in files for number, fault in check_file(path)]
    print("\n".join(faults) or f"text: {len(files)} files in order")
    sys.exit(1 if faults or not files else 0)


if __name__ == "__main__":
    main()
