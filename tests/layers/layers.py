#!/usr/bin/env python3
"""Checks that includes go down the layers of src/LAYERS, and that the spine has no #ifdef.

Each line of src/LAYERS is a layer, lowest first: module names with commas between them. A module
NAME owns src/NAME.h, src/NAME.c and src/NAME_*; the module arch owns the directory arch. A file may
include the headers of its own module, of a lower line, and of modules further left on its line.

    layers.py ROOT
"""
import re
import sys
from pathlib import Path

NOT_SOURCE = {".md", ".map", ".txt", ".in"}
PUBLIC = {"goalloc.h", "goalloc_stack.h"}
COMMENT = re.compile(r'/\*.*?\*/|//[^\n]*|("(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\')', re.DOTALL)


class Layers:
    """What src/LAYERS says."""

    def __init__(self, path):
        self.rank = {}  # a module may use those of a lower rank
        self.ifdef_ok = set()
        self.faults = []
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.startswith("# ifdef-ok:"):
                self.ifdef_ok.update(line.split(":", 1)[1].replace(",", " ").split())
            elif line.strip() and not line.startswith("#"):
                for name in line.split(","):
                    self.add(name.strip())

    def add(self, name):
        if not re.fullmatch(r"[a-z0-9_]+", name):
            self.faults.append(f"src/LAYERS: '{name}' is no name of a module")
        elif name in self.rank:
            self.faults.append(f"src/LAYERS: {name} is there twice")
        else:
            self.rank[name] = len(self.rank)

    def module_of(self, path):
        """The module that owns a file: os owns os_linux.c unless there is a module os_linux."""
        owners = [name for name in self.rank
                  if path.stem == name or path.stem.startswith(name + "_")]
        if owners:
            return max(owners, key=len)
        return "arch" if "arch" in path.parts and "arch" in self.rank else None


def directives(text):
    """The preprocessor's lines as (line number, name, rest), comments taken out."""
    text = COMMENT.sub(lambda m: m.group(1) or "\n" * m.group().count("\n"), text)
    for number, line in enumerate(text.splitlines(), 1):
        match = re.match(r"\s*#\s*(\w+)\s*(.*?)\s*$", line)
        if match:
            yield number, match.group(1), match.group(2)


def check_include(layers, owners, module, target):
    """What is wrong with including target from a file of the module; None when nothing is."""
    if re.fullmatch(r"<[^>]*>", target):
        name = target[1:-1]
        return f"{target} is not of the system: write quotes" if name in owners else None
    if not re.fullmatch(r'"[^"]*"', target):
        return f"cannot tell what {target} is"
    name = target[1:-1]
    if name.endswith(".c"):
        return f"includes a source file, {name}"
    if name in PUBLIC:  # they need nothing, so they are below everything
        return None
    if name not in owners:
        return f"{name} is in no module"
    if layers.rank[owners[name]] > layers.rank[module]:
        return f"{module} is below {owners[name]}, but includes {name}"
    return None


def without_guard(found, is_header):
    names = [name for _, name, _ in found]
    if (is_header and names[:2] == ["ifndef", "define"] and names[-1] == "endif"
            and found[0][2] == found[1][2]):
        return found[2:-1]
    return found


def check_conditionals(found, is_header):
    for number, name, rest in without_guard(found, is_header):
        if name in ("if", "ifdef", "ifndef", "elif") and (name, rest) != ("ifdef", "__cplusplus"):
            yield number, f"#{name} {rest} in the spine"


def may_have_conditionals(layers, path):
    return ("arch" in path.parts or path.name in layers.ifdef_ok
            or path.name.startswith("os_") and path.suffix == ".c")


def source_files(root):
    for directory in (root / "src", root / "arch"):
        for path in sorted(directory.rglob("*")):
            if path.is_file() and path.name != "LAYERS" and path.suffix not in NOT_SOURCE:
                yield path.relative_to(root)


def check(root):
    layers = Layers(root / "src" / "LAYERS")
    yield from layers.faults
    files = {path: layers.module_of(path) for path in source_files(root)}
    owners = {path.name: module for path, module in files.items() if module}

    for name in layers.rank.keys() - owners.values():
        yield f"src/LAYERS: {name} owns no file"
    for name in layers.ifdef_ok - owners.keys():
        yield f"src/LAYERS: ifdef-ok names {name}, which is not there"
    for path, module in files.items():
        if module is None:
            yield f"{path}: in no module of src/LAYERS"
            continue
        found = list(directives((root / path).read_text(encoding="utf-8")))
        for number, name, rest in found:
            fault = check_include(layers, owners, module, rest) if name == "include" else None
            if fault:
                yield f"{path}:{number}: {fault}"
        if not may_have_conditionals(layers, path):
            for number, fault in check_conditionals(found, path.suffix == ".h"):
                yield f"{path}:{number}: {fault}"


def main():
    faults = list(check(Path(sys.argv[1])))
    print("\n".join(faults) or "layers: in order")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
