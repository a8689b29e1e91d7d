"""Measures goalloc against the C library's malloc and its peers, on C workloads and real programs.

One command on a fresh clone: it installs what it needs (Debian, Ubuntu), builds goalloc and the
workloads into build/, makes sure that each library really is the malloc of each program, runs
every workload under every allocator in turn, round by round, and writes tables, raw samples and
plots. The parts: lib/setup.py (packages, builds, libraries, the machine), lib/rows.py (what there is
to run), lib/measure.py (running), lib/summary.py (medians, ratios, means), lib/report.py (tables)
and lib/plots.py. See README.md.
"""

import argparse
import os
import shutil
import sys
import tempfile

BENCH = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
sys.dont_write_bytecode = True

import measure  # noqa: E402
import plots  # noqa: E402
import report  # noqa: E402
import rows as rows_of  # noqa: E402
import setup  # noqa: E402
from setup import say  # noqa: E402

# Seconds for the rounds: a further one is begun only if it will end in time.
FULL = {"rounds": 5, "at_least": 3, "scale": 1.0, "seconds": 1380}
QUICK = {"rounds": 2, "at_least": 1, "scale": 0.1, "seconds": 220}


def positive(kind):
    def parse(text):
        value = kind(text)
        if value <= 0:
            raise argparse.ArgumentTypeError(f"{text} is not above 0")
        return value
    return parse


def named_library(text):
    name, _, path = text.partition("=")
    if not name or not os.path.isfile(path):
        raise argparse.ArgumentTypeError(f"{text} is not NAME=PATH of a library")
    return name, os.path.realpath(path)


def parse_arguments():
    parser = argparse.ArgumentParser(
        prog="bench/run", formatter_class=argparse.RawDescriptionHelpFormatter,
        description=__doc__.split("\n\n")[0]
        + "\nWithout options: everything, in 25 to 30 minutes.",
        epilog="PATTERN is a row's name, or a part of it, or with * and ?; or a group. The scaling\n"
               "curves are named curve-live, curve-threads and curve-size. Ctrl-C ends the\n"
               "measurement, and what was measured until then is reported.")
    add = parser.add_argument
    add("--quick", action="store_true", help="everything but the curves in 4 minutes, roughly")
    add("--rounds", type=positive(int), metavar="N", help="measure N times, however long it takes")
    add("--scale", type=positive(float), metavar="F", help="factor on the work of each run")
    add("--only", action="append", metavar="PATTERN", help="run these rows; may come repeatedly")
    add("--skip", action="append", metavar="PATTERN", default=[], help="leave these rows out")
    add("--lib", action="append", type=named_library, default=[], metavar="NAME=PATH",
        help="a further allocator's shared library; may come repeatedly")
    add("--against", metavar="REV", help="compare with this revision of goalloc, too")
    add("--threads", type=positive(int), metavar="N", help="for rows that do not say how many")
    add("--out", default=os.path.join(BENCH, "report"), metavar="DIR", help="default bench/report")
    add("--build", default=os.path.join(os.path.dirname(BENCH), "build"), metavar="DIR",
        help="the build directory, default build/")
    add("--list", action="store_true", help="show the rows and end")
    options = parser.parse_args()
    defaults = QUICK if options.quick else FULL
    options.curves = not options.quick
    options.seconds = None if options.rounds else defaults["seconds"]
    options.at_least = options.rounds or defaults["at_least"]
    options.rounds = options.rounds or defaults["rounds"]
    options.scale = options.scale or defaults["scale"]
    options.build = os.path.abspath(options.build)
    return options


def choose(options):
    rows = [row for row in rows_of.read_all(BENCH) if rows_of.chosen(row, options)]
    curves = [curve for curve in rows_of.CURVES if rows_of.chosen(curve, options)]
    if not rows and not curves:
        sys.exit("bench/run: no row matches; see --list")
    return rows, curves if options.curves or options.only else []


def show_list(rows, curves):
    for row in rows:
        print(f"{row.name:<22} {row.group:<8} {row.program} {' '.join(row.arguments)}"
              f"  [memory: {row.memory}]")
    for curve in curves:
        print(f"{curve.name:<22} {'curve':<8} {curve.program} --{curve.option} "
              + " ".join(curve.values))


def measure_all(options, rows, curves, temporary):
    """Everything up to the results; returns them however the measurement ended."""
    setup.warn_of_load()
    setup.install()
    setup.build(options.build, [row.program for row in rows + curves if not row.real])
    launch = setup.build_launcher(temporary)
    allocators = setup.find_allocators(options, temporary)
    facts = setup.machine_facts(allocators)
    report.print_facts(facts, options)

    inputs = ""
    if any(row.real for row in rows):
        inputs = setup.make_inputs(BENCH, options.build, options.scale)
    runner = measure.Runner(options, allocators, launch, inputs, temporary)
    results = measure.Results(facts, options, allocators, rows)
    try:
        setup.check_loaded(allocators)
        measure.find_programs(runner, results)
        measure.all_rounds(runner, results)
        measure.all_curves(runner, results, curves)
    except KeyboardInterrupt:
        results.interrupted = True
        say("\nInterrupted: reporting what was measured until now.")
    return results


def main():
    options = parse_arguments()
    rows, curves = choose(options)
    if options.list:
        show_list(rows, curves)
        return
    for name in [name for name in os.environ if name.startswith(("LD_", "GOALLOC_", "MALLOC_"))]:
        del os.environ[name]
    temporary = tempfile.mkdtemp(prefix="goalloc-bench.")
    try:
        results = measure_all(options, rows, curves, temporary)
        os.makedirs(options.out, exist_ok=True)
        drawn = plots.draw_all(results, BENCH, options.out, temporary)
        report.write_all(results, options.out, drawn)
    finally:
        setup.remove_worktree()
        shutil.rmtree(temporary, ignore_errors=True)


if __name__ == "__main__":
    try:
        main()
    except setup.Failure as failure:
        sys.exit(f"bench/run: {failure}")
    except KeyboardInterrupt:
        sys.exit(130)
