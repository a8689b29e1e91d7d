#!/usr/bin/env python3
"""A redis server under load: redis.py COMMANDS SCALE, by the driver's rules for wrappers.

A wrapper runs without the allocator that is measured, gives it to the one process that counts, and
reports that process's figures as metrics. From the environment: BENCH_PRELOAD, the library (empty
for the C library's malloc), BENCH_LAUNCH, the program that starts and measures, and BENCH_STRACE,
when system calls are to be counted, the file for strace's table.

The server listens on a socket in a directory of its own. The clients are redis-cli, which sends
the file of commands, and redis-benchmark. The time is theirs, from the first request to the last
answer; memory, CPU time and page faults are the server's, from start to exit.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

BENCHMARK_TESTS = "set,get,incr,lpush,rpush,lpop,sadd,hset,spop,zadd,lrange_100,mset"


def fail(message):
    print("redis.py:", message, file=sys.stderr)
    sys.exit(1)


def c_library():
    """Debian's redis is linked with jemalloc; the C library, preloaded, comes before that."""
    with open("/proc/self/maps") as maps:
        for line in maps:
            path = line.split()[-1]
            if os.path.basename(path).startswith("libc.so") or "/libc-2" in path:
                return path
    fail("no C library among the mappings")


def server_command(directory):
    """Debian has the server in the same file as redis-check-rdb; its name tells it what to be."""
    program = shutil.which("redis-server") or shutil.which("redis-check-rdb")
    if program is None:
        fail("no redis-server and no redis-check-rdb")
    os.symlink(os.path.realpath(program), os.path.join(directory, "redis-server"))
    return [os.path.join(directory, "redis-server"), "--port", "0",
            "--unixsocket", os.path.join(directory, "socket"),
            "--pidfile", os.path.join(directory, "pid"), "--dir", directory, "--save", "",
            "--logfile", os.path.join(directory, "log"), "--lazyfree-lazy-user-del", "yes",
            "--enable-debug-command", "yes"]


def start_server(directory, results):
    preload = os.environ.get("BENCH_PRELOAD") or c_library()
    strace = os.environ.get("BENCH_STRACE")
    command = server_command(directory)
    if strace:
        command = ["strace", "-f", "-c", "-o", strace, "-E", "LD_PRELOAD=" + preload] + command
        preload = ""
    return subprocess.Popen([os.environ["BENCH_LAUNCH"], str(results), preload] + command,
                            pass_fds=[results], stdout=subprocess.DEVNULL)


def wait_for_server(server, cli, directory):
    """The server's own process id, once it answers."""
    for _ in range(1000):
        if server.poll() is not None:
            fail("the server has ended")
        answer = subprocess.run(cli + ["ping"], capture_output=True, text=True)
        if answer.stdout.strip() == "PONG":
            with open(os.path.join(directory, "pid")) as file:
                return int(file.read())
        time.sleep(0.02)
    fail("the server does not answer")


def check_mapped(pid):
    """The library really is in the server."""
    preload = os.path.realpath(os.environ.get("BENCH_PRELOAD") or c_library())
    with open(f"/proc/{pid}/maps") as maps:
        if preload not in maps.read():
            fail(f"the server has not loaded {preload}")


def load(cli, commands):
    with open(commands, "rb") as file:
        answer = subprocess.run(cli + ["--pipe"], stdin=file, capture_output=True, text=True)
    if "errors: 0," not in answer.stdout:
        fail("the load failed: " + answer.stdout + answer.stderr)


def benchmark(socket, scale):
    answer = subprocess.run(
        ["redis-benchmark", "-s", socket, "-n", str(int(12000 * scale) + 100), "-c", "50",
         "-P", "8", "-r", "100000", "-d", "300", "--csv", "-t", BENCHMARK_TESTS],
        capture_output=True, text=True)
    if answer.returncode != 0 or answer.stdout.count('\n"') < 12:
        fail("redis-benchmark: " + answer.stdout + answer.stderr)


def report(line, elapsed):
    status, _, user, system, peak_kib, minor, major = map(int, line.split())
    if status != 0:
        fail(f"the server's wait status is {status}")
    print(f"metric elapsed {elapsed:.6f} s")
    print(f"metric cpu {(user + system) / 1e6:.6f} s")
    print(f"metric rss {peak_kib * 1024} bytes")
    print(f"metric faults {minor + major} count")


def main():
    commands, scale = sys.argv[1], float(sys.argv[2])
    directory = tempfile.mkdtemp(prefix="goalloc-redis.")
    read_end, write_end = os.pipe()
    server = start_server(directory, write_end)
    os.close(write_end)
    try:
        socket = os.path.join(directory, "socket")
        cli = ["redis-cli", "-s", socket]
        pid = wait_for_server(server, cli, directory)
        check_mapped(pid)
        start = time.monotonic()
        load(cli, commands)
        loaded = time.monotonic() - start
        # What the driver compares between allocators.
        subprocess.run(cli + ["debug", "digest"], check=True)
        start = time.monotonic()
        benchmark(socket, scale)
        elapsed = loaded + time.monotonic() - start
        os.kill(pid, signal.SIGTERM)
        with open(read_end) as file:
            line = file.readline()
        server.wait()
        report(line, elapsed)
    finally:
        if server.poll() is None:
            server.terminate()
            server.wait()
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
