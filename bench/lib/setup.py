"""Packages, builds, the allocators' libraries and the facts of the machine, before measuring."""

import glob
import hashlib
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass

BENCH = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
ROOT = os.path.dirname(BENCH)
PACKAGES = ("libjemalloc2 libmimalloc2.0 libtcmalloc-minimal4 strace gnuplot-nox redis-tools "
            "sqlite3 ghostscript libxml2-utils lua5.4 ruby nodejs perl python3 gcc g++ clang "
            "xz-utils coreutils").split()
PEERS = (("jemalloc", "libjemalloc.so.2"), ("mimalloc", "libmimalloc.so.[0-9]"),
         ("tcmalloc", "libtcmalloc_minimal.so.4"))
LIBRARY_DIRECTORIES = ("/usr/lib/*-linux-gnu", "/usr/lib64", "/usr/lib", "/usr/local/lib")
# Programs of the distribution, not a version manager's scripts of the same name.
PROGRAM_PATH = "/usr/bin:/bin:/usr/local/bin:" + os.environ.get("PATH", "")

load_at_start = os.getloadavg()[0]  # before our own builds
worktree = None


class Failure(Exception):
    """What ends the whole run: the message is for the user."""


@dataclass
class Allocator:
    name: str
    kind: str            # "glibc" is the baseline; "peer", "goalloc" and "revision" are the others
    library: str = ""    # the real file
    preload: str = ""    # a name for it without blanks and colons
    version: str = ""


def say(text):
    print(text, file=sys.stderr, flush=True)


def output_of(*command):
    try:
        result = subprocess.run(command, capture_output=True, text=True)
    except OSError:
        return ""
    return result.stdout.strip() if result.returncode == 0 else ""


# ---- packages and builds ----

def bash(script, *arguments):
    """Runs a script that uses the functions of tests/setup.sh; false when it fails."""
    library = os.path.join(ROOT, "tests", "setup.sh")
    command = ["bash", "-c", f'source "$1" && shift && {script}', "bash", library, *arguments]
    return subprocess.run(command, stdout=sys.stderr).returncode == 0


def warn_of_load():
    if load_at_start > 0.5:
        say(f"WARNING: other work is running here (load average {load_at_start:.1f}): "
            "times will be off.")


def install():
    if not bash('if setup_has_apt; then setup_debian "$@"; else setup_elsewhere; fi', *PACKAGES):
        say("WARNING: not everything could be installed: some rows or allocators may be missing.")


def build(directory, programs):
    say("Building goalloc and the workloads")
    targets = ["goalloc"] + sorted("bench_" + program for program in set(programs))
    script = """
        build() {
            local source=$1 build=$2
            shift 2
            setup_quietly setup_configure "$source" "$build" -DGOALLOC_BENCH=ON &&
                setup_quietly cmake --build "$build" --parallel --target "$@"
        }
        setup_build && mkdir -p "$2" && setup_locked "$2" build "$@"
    """
    if not bash("{ " + script + "}", ROOT, directory, *targets):
        raise Failure("goalloc or the workloads could not be built; the reason stands above")


def build_launcher(temporary):
    launch = os.path.join(temporary, "launch")
    source = os.path.join(BENCH, "lib", "launch.c")
    result = subprocess.run([os.environ.get("CC", "cc"), "-O2", "-std=gnu11", "-o", launch, source])
    if result.returncode != 0:
        raise Failure("lib/launch.c could not be compiled")
    return launch


def build_revision(revision, temporary):
    """The library of another revision, built aside in a work tree of its own."""
    global worktree
    say(f"Building goalloc at {revision}")
    worktree = os.path.join(temporary, "revision")
    build_there = os.path.join(worktree, "build")
    commands = (["git", "-C", ROOT, "worktree", "add", "--detach", worktree, revision],
                ["cmake", "-S", worktree, "-B", build_there, "-DCMAKE_BUILD_TYPE=Release"],
                ["cmake", "--build", build_there, "--parallel", "--target", "goalloc"])
    for command in commands:
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode != 0:
            raise Failure(f"{' '.join(command)}:\n{result.stdout}{result.stderr}")
    return os.path.join(build_there, "libgoalloc.so")


def remove_worktree():
    if worktree:
        subprocess.run(["git", "-C", ROOT, "worktree", "remove", "--force", worktree],
                       capture_output=True)


def make_inputs(bench, directory, scale):
    """The directory of the programs' input files, which is kept for as long as it fits."""
    script = os.path.join(bench, "programs", "make_inputs.py")
    with open(script, "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()[:8]
    inputs = os.path.join(directory, "bench-inputs", f"{scale:g}-{digest}")
    if not os.path.isdir(inputs):
        say("Generating the programs' input")
        shutil.rmtree(inputs + ".part", ignore_errors=True)
        subprocess.run([sys.executable, script, inputs + ".part", str(scale)], check=True)
        os.rename(inputs + ".part", inputs)
    return inputs


# ---- allocators ----

def find_library(pattern):
    for directory in LIBRARY_DIRECTORIES:
        found = sorted(glob.glob(os.path.join(directory, pattern)))
        if found:
            return os.path.realpath(found[-1])
    return None


def package_version(library):
    """The package and version a file comes from; dpkg may know it without /usr."""
    for path in (library, re.sub("^/usr", "", library)):
        package = output_of("dpkg-query", "-S", path).split(":")[0]
        if package:
            return package + " " + output_of("dpkg-query", "-W", "-f", "${Version}", package)
    return library


def goalloc_version():
    commit = output_of("git", "-C", ROOT, "describe", "--always", "--dirty")
    return "revision " + commit if commit else "not under git"


def find_peers():
    peers = []
    for name, pattern in PEERS:
        library = find_library(pattern)
        if library:
            peers.append(Allocator(name, "peer", library, version=package_version(library)))
        else:
            say(f"WARNING: {name} is not here and will be missing.")
    return peers


def find_allocators(options, temporary):
    """All of them, glibc first, goalloc last but for another revision of it."""
    glibc = os.confstr("CS_GNU_LIBC_VERSION") or "unknown"
    allocators = [Allocator("glibc", "glibc", version=glibc)] + find_peers()
    allocators += [Allocator(name, "peer", library, version=library)
                   for name, library in options.lib]
    ours = os.path.realpath(os.path.join(options.build, "libgoalloc.so"))
    allocators.append(Allocator("goalloc", "goalloc", ours, version=goalloc_version()))
    if options.against:
        library = build_revision(options.against, temporary)
        commit = output_of("git", "-C", ROOT, "rev-parse", "--short", options.against)
        allocators.append(Allocator(options.against, "revision", library, version=commit))
    names = [allocator.name for allocator in allocators]
    if len(set(names)) < len(names):
        raise Failure("two allocators have the same name: " + " ".join(names))
    for number, allocator in enumerate(allocators):
        if allocator.library:
            set_preload(allocator, os.path.join(temporary, f"malloc{number}.so"))
    return allocators


def set_preload(allocator, path):
    """Our own libraries are copied, so that a build meanwhile does not change what is measured."""
    if allocator.kind in ("goalloc", "revision"):
        shutil.copy(allocator.library, path)
        allocator.library = path
    else:
        os.symlink(allocator.library, path)
    allocator.preload = path


# ---- checks ----

def check_loaded(allocators):
    """Each library is mapped into a program that was started with it."""
    for allocator in allocators:
        if allocator.preload:
            result = subprocess.run(["cat", "/proc/self/maps"], capture_output=True, text=True,
                                    env={**os.environ, "LD_PRELOAD": allocator.preload})
            if os.path.realpath(allocator.library) not in result.stdout:
                raise Failure(f"{allocator.name} cannot be preloaded: {allocator.library}\n"
                              + result.stderr)


def malloc_of(executable, preload):
    """The files to which malloc is bound in a program, as the dynamic linker says, which stops
    before the program itself would start. Some bindings go to the program's own stub, which is
    bound in turn: those say nothing."""
    environment = {**os.environ, "LD_TRACE_LOADED_OBJECTS": "1", "LD_WARN": "yes",
                   "LD_BIND_NOW": "yes", "LD_DEBUG": "bindings"}
    if preload:
        environment["LD_PRELOAD"] = preload
    result = subprocess.run([executable], env=environment, stdin=subprocess.DEVNULL,
                            capture_output=True, text=True, errors="replace", timeout=60)
    bound = re.findall(r"binding file .* to (.*) \[\d+\]: normal symbol `malloc'",
                       result.stderr + result.stdout)
    return set(bound) - {executable}


def why_not_active(executable, allocator):
    """What is wrong with the malloc of a program under an allocator, or None."""
    bound = malloc_of(executable, allocator.preload)
    if allocator.preload:
        right = bound == {allocator.preload}
    else:
        right = len(bound) == 1 and os.path.basename(min(bound)).startswith("libc.so")
    return None if right else f"malloc is bound to {', '.join(sorted(bound)) or 'nothing'}"


# ---- facts ----

def first_match(path, pattern):
    try:
        with open(path, encoding="utf-8") as file:
            match = re.search(pattern, file.read(), re.MULTILINE)
    except OSError:
        match = None
    return match.group(1).strip() if match else "unknown"


def machine_facts(allocators):
    memory = first_match("/proc/meminfo", r"^MemTotal:\s+(\d+)")
    facts = {
        "CPU": first_match("/proc/cpuinfo", r"^model name\s*:(.*)"),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{int(memory) / (1 << 20):.1f} GiB" if memory.isdigit() else memory,
        "kernel": f"{os.uname().release} {os.uname().machine}",
        "system": first_match("/etc/os-release", r'^PRETTY_NAME="?([^"\n]*)'),
        "transparent huge pages": first_match("/sys/kernel/mm/transparent_hugepage/enabled",
                                              r"\[(\w+)\]"),
        "load average at the start": f"{load_at_start:.2f}",
    }
    facts.update({allocator.name: allocator.version for allocator in allocators})
    return facts


def find_program(name):
    """A program's real file: a compiler's inner parts are found by asking gcc."""
    path = shutil.which(name, path=PROGRAM_PATH)
    if path is None:
        path = output_of("gcc", "-print-prog-name=" + name)
    return path if os.path.isabs(path) and os.path.exists(path) else None
