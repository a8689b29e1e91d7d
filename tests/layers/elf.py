#!/usr/bin/env python3
"""Checks what a shared library shows to the dynamic linker: names, needs, segments.

The exported names are exactly those of the list; the imported ones are of libc, not newer than
MAX_GLIBC, and all in imports.txt, so that a new dependency shows as a change of that file. Weak
imports of the C++ runtime, which may be missing, are not in it.

    elf.py LIBRARY SONAME EXPORTS IMPORTS
"""
import os
import re
import subprocess
import sys

MAX_GLIBC = (2, 34)
MAX_TLS = 512  # what glibc keeps for libraries that are loaded late, with initial-exec TLS
NEEDED = re.compile(r"libc\.so\.6|ld-linux.*")
WEAK_RUNTIME = re.compile(r"_Z|__cxa_|_ITM_|__gmon_start__")


def readelf(library, *options):
    command = ["readelf", "-W", *options, library]
    environment = {**os.environ, "LC_ALL": "C"}
    return subprocess.run(command, check=True, env=environment, stdout=subprocess.PIPE,
                          text=True).stdout


def read_list(path):
    with open(path, encoding="ascii") as file:
        return {line.strip() for line in file if line.strip() and not line.startswith("#")}


def dynamic_symbols(library):
    """Exported names, and imported ones as (name, version, weak)."""
    exports, imports = set(), []
    for line in readelf(library, "--dyn-syms").splitlines():
        fields = line.split()
        if len(fields) < 8 or not fields[0].rstrip(":").isdigit():
            continue
        binding, section = fields[4], fields[6]
        name, _, version = fields[7].partition("@")
        if section == "UND":
            imports.append((name, version.lstrip("@"), binding == "WEAK"))
        else:
            exports.add(name)
    return exports, imports


def check_imports(imports, allowed):
    for name, version, weak in imports:
        if weak and WEAK_RUNTIME.match(name):
            continue
        number = re.fullmatch(r"GLIBC_(\d+)\.(\d+)(\.\d+)?", version)
        if not number:
            yield f"imports {name}, which is not of libc"
        elif (int(number[1]), int(number[2])) > MAX_GLIBC:
            yield f"imports {name} of {version}, which older systems do not have"
        if name not in allowed:
            yield f"imports {name}, which is not in imports.txt"


def check_dynamic(library, soname):
    section = readelf(library, "-d")
    found = re.findall(r"\(SONAME\).*\[(.*)\]", section)
    if found != [soname]:
        yield f"has SONAME {found}, not {soname}"
    for needed in re.findall(r"\(NEEDED\).*\[(.*)\]", section):
        if not NEEDED.fullmatch(needed):
            yield f"needs {needed}"
    if "TEXTREL" in section:
        yield "has text relocations"


def check_segments(library):
    segments = [line.split() for line in readelf(library, "-l").splitlines()]
    segments = {fields[0]: fields for fields in segments if len(fields) >= 8}
    stack = segments.get("GNU_STACK")
    if not stack or "E" in "".join(stack[6:-1]):
        yield "wants an executable stack"
    tls_size = int(segments["TLS"][5], 16) if "TLS" in segments else 0
    if tls_size > MAX_TLS:
        yield f"has {tls_size} bytes of thread-local storage, limit {MAX_TLS}"


def main():
    library, soname, exports_path, imports_path = sys.argv[1:]
    exports, imports = dynamic_symbols(library)
    expected = read_list(exports_path)
    faults = [f"exports {name}, which is not in the list" for name in sorted(exports - expected)]
    faults += [f"does not export {name}" for name in sorted(expected - exports)]
    faults += check_imports(imports, read_list(imports_path))
    faults += check_dynamic(library, soname)
    faults += check_segments(library)
    for fault in faults:
        print(f"{os.path.basename(library)} {fault}")
    print(f"{soname}: {len(exports)} exports, {len(imports)} imports, {len(faults)} faults")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
