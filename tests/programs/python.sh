#!/usr/bin/env bash
# Python with its own small-object allocator switched off, so that every object is a malloc:
# dictionaries, strings, regular expressions and JSON, in threads and in child processes.
# shellcheck source=lib.sh disable=SC2317
source "$(dirname -- "$0")/lib.sh"

need python3
export PYTHONMALLOC=malloc PYTHONHASHSEED=1 PYTHONDONTWRITEBYTECODE=1

active python3 -c pass

cat >"$in/churn.py" <<'END'
import hashlib
import json
import multiprocessing
import random
import re
import sys
import threading
import zlib


def churn(seed, rounds):
    """Keeps a dictionary in motion and returns a digest of all that it has held."""
    rng = random.Random(seed)
    digest = hashlib.sha256()
    table = {}
    word = re.compile(r"(\w+?)(\d+)-(?P<tail>[a-f]+)?")
    for i in range(rounds):
        key = "key%d-%x" % (rng.randrange(2000), i)
        table[key] = [rng.random() for _ in range(rng.randrange(12))]
        if len(table) > 3000:
            for old in sorted(table)[::2]:
                digest.update(old.encode())
                del table[old]
        if i % 97 == 0:
            text = json.dumps({k: table[k] for k in list(table)[:50]}, sort_keys=True)
            assert json.loads(text) == json.loads(json.dumps(json.loads(text)))
            digest.update(word.sub(r"\2:\g<tail>", text).encode())
            digest.update(zlib.compress(text.encode() * 3))
    return digest.hexdigest()


def in_threads(count, rounds):
    results = [None] * count

    def work(n):
        results[n] = churn(n, rounds)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def child(pipe, seed):
    pipe.send((churn(seed, 2000), in_threads(2, 1000)))
    pipe.close()


def in_processes(method, count):
    """Starts children while other threads allocate, and collects what they computed."""
    context = multiprocessing.get_context(method)
    busy = threading.Thread(target=churn, args=(99, 4000))
    busy.start()
    children = []
    for seed in range(count):
        here, there = context.Pipe()
        process = context.Process(target=child, args=(there, seed))
        process.start()
        children.append((process, here))
    results = []
    for process, here in children:
        results.append(here.recv())
        process.join()
        results.append(process.exitcode)
    busy.join()
    return results


def main():
    print(sys.implementation.name, churn(1, 15000))
    print(in_threads(6, 3000))
    print(in_processes("fork", 6))
    print(in_processes("spawn", 2))
    big = [bytes([n % 256]) * (1 << 20) for n in range(64)]
    print(hashlib.sha256(b"".join(big[::-1])).hexdigest())
    text = ""
    for n in range(200000):
        text += chr(32 + n % 90)
    print(hashlib.sha256(text.encode()).hexdigest())


if __name__ == "__main__":
    main()
END

same "churn" python3 "$in/churn.py"
same "a deep structure" python3 -c '
x = []
for i in range(200000): x = [x, i]
n = 0
while x: x, i = x; n += i
print(n)'
finish
