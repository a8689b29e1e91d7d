"""Running: one process at a time, each measured from its start to its end by lib/launch.c."""

import hashlib
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from typing import Optional

import rows as rows_of
import setup
from setup import say

WRONG_CONTENTS = 3
# Seconds after which a run is stopped, besides the row's own limit: one that is this many times
# slower than glibc is lost, and counting system calls may slow a program down without end.
SLOW_TIMES = 20
SLOW_LEAST = 10
STRACE_LIMIT = 30
CURVE_SCALE = 0.15
CURVE_REPEATS = 3
LARGE_LIVE = 1 << 30    # live heaps above this are measured once


class Lost(Exception):
    """A run that gave no figures; the message says why."""

    def __init__(self, message, late=False):
        super().__init__(message)
        self.late = late


@dataclass
class Cell:
    """What was measured of one row under one allocator."""
    samples: list = field(default_factory=list)   # one a round
    syscalls: Optional[int] = None
    lost: Optional[str] = None


class Results:
    def __init__(self, facts, options, allocators, rows):
        self.facts = facts
        self.options = options
        self.allocators = allocators
        self.rows = rows
        self.cells = {row.name: {allocator.name: Cell() for allocator in allocators}
                      for row in rows}
        self.curves = {}       # name: {allocator: [(x, [metrics of each run])]}
        self.curve_losses = []
        self.rounds = 0
        self.interrupted = False

    def alive(self, row):
        """The allocators that have not lost a row. Those of stacks are goalloc's alone."""
        return [a for a in self.allocators if self.cells[row.name][a.name].lost is None
                and (row.group != "stacks" or a.kind in ("goalloc", "revision"))]


# ---- one run ----

class Runner:
    def __init__(self, options, allocators, launch, inputs, temporary):
        self.options = options
        self.allocators = allocators
        self.launch = launch
        self.inputs = inputs
        self.temporary = temporary
        self.references = {}   # row: digest of its output, by the first allocator that ran it
        self.glibc_took = {}   # row: seconds of elapsed time
        self.strace = shutil.which("strace")
        self.environment = {
            "PATH": setup.PROGRAM_PATH, "HOME": temporary, "TMPDIR": temporary,
            "LC_ALL": "C.UTF-8", "TZ": "UTC", "PYTHONMALLOC": "malloc", "PYTHONHASHSEED": "0"}

    def slow(self, row_name):
        return max(SLOW_LEAST, SLOW_TIMES * self.glibc_took.get(row_name, float("inf")))

    def command(self, row, scale):
        if row.real:
            places = {"inputs": self.inputs, "here": os.path.join(setup.BENCH, "programs"),
                      "scale": f"{scale:g}"}
            arguments = [argument.format(**places) for argument in row.arguments]
        else:
            arguments = row.arguments + ["--scale", f"{scale:g}"]
            threads_free = row.group != "curve" and "--threads" not in arguments
            if self.options.threads and threads_free:
                arguments += ["--threads", str(self.options.threads)]
        return [row.executable] + arguments

    def wrapped(self, row, allocator, command, table):
        """The preload, command and environment; with a table, system calls are counted in it."""
        environment = dict(self.environment)
        if row.wrapper:
            environment.update(BENCH_PRELOAD=allocator.preload, BENCH_LAUNCH=self.launch,
                               BENCH_STRACE=table or "")
            return "", [sys.executable] + command, environment
        if not table:
            return allocator.preload, command, environment
        strace = [self.strace, "-f", "-c", "-o", table]
        if allocator.preload:
            strace += ["-E", "LD_PRELOAD=" + allocator.preload]
        return "", strace + command, environment

    def run(self, row, allocator, scale, table=None):
        """One run: the figures of it. Raises Lost."""
        preload, command, environment = self.wrapped(row, allocator, self.command(row, scale),
                                                     table)
        limit = min(row.timeout * max(1, scale),
                    max(SLOW_LEAST, STRACE_LIMIT * scale) if table else self.slow(row.name))
        with tempfile.TemporaryFile(dir=self.temporary) as output, \
                tempfile.TemporaryFile(dir=self.temporary) as errors:
            line = launch(self.launch, preload, command, environment, output, errors, limit)
            status, *figures = map(int, line.split())
            check_status(status, errors)
            metrics = self.take_output(row, output)
        sample = sample_of(row, figures, metrics)
        if allocator.kind == "glibc":
            self.glibc_took[row.name] = sample["elapsed"]
        return sample

    def take_output(self, row, output):
        """The metrics of the output; what else it holds must be the same for every allocator."""
        output.seek(0)
        content = output.read()
        metrics = {}
        if not row.real or row.wrapper:
            lines = content.decode(errors="replace").splitlines()
            metrics = dict(metric_of(line) for line in lines if line.startswith("metric "))
            content = "\n".join(x for x in lines if not x.startswith("metric ")).encode()
        digest = hashlib.sha256(content).digest()
        if self.references.setdefault(row.name, digest) != digest:
            raise Lost("wrong output")
        return metrics


def launch(launcher, preload, command, environment, output, errors, limit):
    """Runs a command in a process group of its own, which does not outlive this call."""
    read_end, write_end = os.pipe()
    process = subprocess.Popen([launcher, str(write_end), preload] + command, env=environment,
                               stdin=subprocess.DEVNULL, stdout=output, stderr=errors,
                               pass_fds=[write_end], start_new_session=True)
    os.close(write_end)
    try:
        in_time = wait_for_exit(process.pid, limit)
    finally:
        end_group(process.pid)
        os.wait4(process.pid, 0)
        process.returncode = 0
    with os.fdopen(read_end) as file:
        line = file.read() if in_time else ""
    if not in_time:
        raise Lost(f"not ended after {limit:.0f} s", late=True)
    if not line:
        raise Lost("could not be started: " + tail(errors))
    return line


def wait_for_exit(pid, limit):
    """True when the process ends within the limit. It is not reaped yet, so its id stays ours."""
    descriptor = os.pidfd_open(pid)
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(limit * 1000))
    finally:
        os.close(descriptor)


def end_group(pid):
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def tail(errors):
    errors.seek(0)
    lines = errors.read().decode(errors="replace").strip().splitlines()
    return lines[-1][:200] if lines else ""


def check_status(status, errors):
    if os.WIFSIGNALED(status):
        name = signal.Signals(os.WTERMSIG(status)).name
        raise Lost(f"ended by {name} {tail(errors)}".strip())
    code = os.WEXITSTATUS(status)
    if code == WRONG_CONTENTS:
        raise Lost(f"wrong contents {tail(errors)}".strip())
    if code != 0:
        raise Lost(f"exit code {code} {tail(errors)}".strip())


def metric_of(line):
    _, name, value, unit = line.split()
    return name, (float(value), unit)


def sample_of(row, figures, metrics):
    """Metrics named elapsed, cpu, rss and faults, of a wrapper, stand for the process's own."""
    elapsed_ns, user_us, system_us, peak_kib, minor, major = figures
    sample = {"elapsed": elapsed_ns / 1e9, "cpu": (user_us + system_us) / 1e6,
              "rss": peak_kib * 1024, "faults": minor + major}
    if row.wrapper:
        sample.update({name: metrics[name][0] for name in sample if name in metrics})
    sample["metrics"] = {name: value for name, value in metrics.items() if name not in sample}
    if row.memory in ("peak", "rss"):
        sample["memory"] = sample["rss"]
    elif row.memory in metrics:
        sample["memory"] = metrics[row.memory][0]
    else:
        raise Lost(f"no metric {row.memory}")
    return sample


# ---- before the rounds ----

def find_programs(runner, results):
    """Sets the rows' executables and notes, as lost, what cannot run as it should."""
    say("Checking that each allocator is the malloc of each program")
    reasons = {}
    for row in results.rows:
        if row.wrapper:
            row.executable = row.wrapper
            continue
        here = os.path.join(runner.options.build, "bench", "bench_" + row.program)
        row.executable = setup.find_program(row.program) if row.real else here
        for allocator in results.allocators:
            key = (row.executable, allocator.name)
            if key not in reasons:
                reasons[key] = (setup.why_not_active(row.executable, allocator)
                                if row.executable else f"{row.program} is not installed")
            results.cells[row.name][allocator.name].lost = reasons[key]


# ---- rounds ----

class Progress:
    """One line that is rewritten on a terminal, elsewhere a line for each row."""

    def __init__(self, results):
        self.results = results
        self.terminal = sys.stderr.isatty()
        self.took = {}     # row: seconds of all its runs in a round, the latest round
        self.begun = time.monotonic()

    def left_in_round(self, rows):
        """Seconds; a row that never ran counts as the average one."""
        known = [self.took[row.name] for row in rows if row.name in self.took]
        average = sum(self.took.values()) / len(self.took) if self.took else 0
        return sum(known) + average * (len(rows) - len(known))

    def rewrite(self, text):
        if self.terminal:
            print("\r\033[K" + text, end="", file=sys.stderr, flush=True)

    def show_row(self, what, index, rounds_left):
        rows = self.results.rows
        left = self.left_in_round(rows[index:]) + rounds_left * self.left_in_round(rows)
        limit = self.results.options.seconds or float("inf")
        left = max(0, min(left, limit - (time.monotonic() - self.begun)))
        self.rewrite(f"{what}  {index + 1}/{len(rows)}  {rows[index].name}  "
                     f"about {left / 60:.0f} min left of the rounds")

    def show_point(self, text, index, count):
        if self.terminal:
            self.rewrite(f"curves  {index + 1}/{count}  {text}")
        else:
            say(text)

    def row_done(self, what, row, times, seconds):
        self.took[row.name] = seconds
        if not self.terminal:
            figures = "  ".join(f"{name} {'-' if value is None else format(value, '.3f')}"
                                for name, value in times.items())
            say(f"{what}  {row.name:<22} {figures or 'lost by all'}")

    def end(self):
        self.rewrite("")


def all_rounds(runner, results):
    """The warm-up, which also counts system calls, and the rounds that the time allows."""
    options = runner.options
    progress = Progress(results)
    try:
        one_round(runner, results, progress, 0)
        for number in range(1, options.rounds + 1):
            passed = time.monotonic() - progress.begun
            needed = progress.left_in_round(results.rows)
            if number > options.at_least and passed + needed > (options.seconds or float("inf")):
                break
            results.rounds = number
            one_round(runner, results, progress, number)
    finally:
        progress.end()


def one_round(runner, results, progress, number):
    """Row by row, the allocators in turn; another one begins in each round."""
    options = runner.options
    what = f"round {number}/{options.rounds}" if number else "warm-up"
    for index, row in enumerate(results.rows):
        progress.show_row(what, index, options.rounds - number)
        start = time.monotonic()
        alive = results.alive(row)
        first = number % len(alive) if alive else 0
        times = {}
        for allocator in alive[first:] + alive[:first]:
            cell = results.cells[row.name][allocator.name]
            measured = measure(runner, row, allocator, cell) if number else warm_up(
                runner, row, allocator, cell)
            times[allocator.name] = measured
        progress.row_done(what, row, times, time.monotonic() - start)


def measure(runner, row, allocator, cell):
    try:
        sample = runner.run(row, allocator, runner.options.scale)
    except Lost as lost:
        cell.lost = str(lost)
        return None
    cell.samples.append(sample)
    return sample["elapsed"]


def warm_up(runner, row, allocator, cell):
    """Too slow under strace is no loss, only a missing count."""
    table = os.path.join(runner.temporary, "strace.out") if runner.strace else None
    try:
        elapsed = runner.run(row, allocator, runner.options.scale, table)["elapsed"]
        cell.syscalls = count_of(table)
        return elapsed
    except Lost as lost:
        if not (table and lost.late):
            cell.lost = str(lost)
        return None


def count_of(table):
    """The sum of the column of calls in strace's table."""
    if table is None or not os.path.exists(table):
        return None
    with open(table, encoding="utf-8") as file:
        match = re.search(r"^\s*100\.00\s+\S+\s+(?:\d+\s+)?(\d+)\s+(?:\d+\s+)?total$", file.read(),
                          re.MULTILINE)
    os.remove(table)
    return int(match.group(1)) if match else None


# ---- scaling curves ----

def all_curves(runner, results, curves):
    progress = Progress(results)
    points = [(curve, text) for curve in curves for text in curve.values]
    for curve in curves:
        results.curves[curve.name] = {allocator.name: [] for allocator in results.allocators}
    try:
        for index, (curve, text) in enumerate(points):
            value = rows_of.parse_bytes(text)
            if curve.option != "live" or value * 2.5 <= available_memory():
                progress.show_point(f"{curve.name}  {text}", index, len(points))
                large = curve.option == "live" and value > LARGE_LIVE
                one_point(runner, results, curve, text, 1 if large else CURVE_REPEATS)
    finally:
        progress.end()


def one_point(runner, results, curve, text, repeats):
    """All allocators at one value, in turn. One that is lost once is lost there."""
    row = rows_of.Row(f"{curve.name} {text}", curve.program, "curve",
                      [f"--{curve.option}", text], "peak", 120, False)
    row.executable = os.path.join(runner.options.build, "bench", "bench_" + curve.program)
    samples = {allocator.name: [] for allocator in runner.allocators}
    alive = list(runner.allocators)
    for number in range(repeats):
        first = number % len(alive) if alive else 0
        for allocator in alive[first:] + alive[:first]:
            try:
                sample = runner.run(row, allocator, CURVE_SCALE)
                samples[allocator.name].append(sample["metrics"])
            except Lost as lost:
                alive.remove(allocator)
                results.curve_losses.append((row.name, allocator.name, str(lost)))
    for name, metrics in samples.items():
        results.curves[curve.name][name].append((rows_of.parse_bytes(text), metrics))


def available_memory():
    figure = setup.first_match("/proc/meminfo", r"^MemAvailable:\s+(\d+)")
    return int(figure) * 1024 if figure.isdigit() else 0
