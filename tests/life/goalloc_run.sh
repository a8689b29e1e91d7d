#!/usr/bin/env bash
# goalloc-run with a library that is there: the program's output, exit code and arguments, its own
# exit codes and messages, and what it says of programs that cannot be preloaded.
#
# shellcheck disable=SC2016,SC2317 # the shells that are started expand; expect calls with
set -euo pipefail

if (($# != 3)); then
    echo "usage: goalloc_run.sh GOALLOC_RUN LIBRARY STATIC_PROGRAM" >&2
    exit 2
fi
run=$1 library=$2 static=$3
scratch=$(mktemp -d)
trap 'rm -rf -- "$scratch"' EXIT
failures=0

# Runs a command that is to end with CODE and to write what matches OUT to stdout and ERR to stderr.
expect() {
    local code=$1 out=$2 err=$3 got=0
    shift 3
    "$@" >"$scratch/out" 2>"$scratch/err" </dev/null || got=$?
    # shellcheck disable=SC2053 # patterns
    if [[ $got != "$code" || $(<"$scratch/out") != $out || $(<"$scratch/err") != $err ]]; then
        printf 'FAILED: %s\n  exit code %s, not %s\n  stdout: %q, not %q\n  stderr: %q, not %q\n' \
            "${*:1}" "$got" "$code" "$(<"$scratch/out")" "$out" "$(<"$scratch/err")" "$err"
        failures=$((failures + 1))
    fi
}

with() {
    "$run" --lib "$library" "$@"
}

# The program is the program: output, code, signals, arguments, its name.
expect 0 'hello' '' with echo hello
expect 3 '' 'oh' with sh -c 'echo oh >&2; exit 3'
expect 143 '' '*' with sh -c 'kill -TERM $$'
expect 0 'a b|--lib|*|' '' with printf '%s|' 'a b' --lib '*'
expect 0 'bash' '' with bash -c 'echo "$0"'
expect 0 '-n' '' with -- sh -c 'printf "%s\n" "$1"' sh -n

# The library is the program's malloc, once, whatever other programs goalloc-run uses.
expect 0 '' 'goalloc: version *' with -o verbose=1 true
if [[ $(grep -c '^goalloc: version' "$scratch/err") != 1 ]]; then
    echo "FAILED: the version is not printed once:"
    cat "$scratch/err"
    failures=$((failures + 1))
fi
expect 0 '' '*CACHE_MAX *1048576 (set)*' with -overbose=1 -o cache-max=1m true
expect 0 "$library:libm.so.6" '' env LD_PRELOAD=libm.so.6 "$run" "--lib=$library" \
    sh -c 'echo "$LD_PRELOAD"'
mkdir "$scratch/a b"
cp -L -- "$library" "$scratch/a b/"
expect 0 '' "goalloc: version *, $scratch/a b/*" "$run" --lib "$scratch/a b/${library##*/}" -o verbose=1 true

# Scripts: with an interpreter, with env, and with none, which a shell runs.
printf '#!/bin/sh\necho "$2" "$1"\n' >"$scratch/script"
printf '#!/usr/bin/env sh\necho "$2" "$1"\n' >"$scratch/env_script"
printf 'echo "$2" "$1"\n' >"$scratch/text"
chmod +x "$scratch/script" "$scratch/env_script" "$scratch/text"
expect 0 '2 1' '' with "$scratch/script" 1 2
expect 0 '2 1' '' with "$scratch/env_script" 1 2
expect 0 '2 1' '' with "$scratch/text" 1 2

# What cannot be preloaded is run, and said.
cp -- "$(type -P true)" "$scratch/setuid"
chmod u+s "$scratch/setuid"
expect 0 '' 'goalloc-run: * is statically linked: *' with "$static"
expect 0 '' 'goalloc-run: * is setuid or setgid: *' with "$scratch/setuid"

# Mistakes, with the codes that env and nohup have.
expect 125 '' 'goalloc-run: no program given; *' with
expect 125 '' 'goalloc-run: no option -x; *' with -x true
expect 125 '' 'goalloc-run: -o wants a value; *' with -o
expect 125 '' "goalloc-run: -o wants NAME=VALUE, not 'verbose'" with -o verbose true
expect 125 '' 'goalloc-run: there is no library /nowhere.so' "$run" --lib /nowhere.so true
expect 126 '' 'goalloc-run: /: is a directory' with /
expect 126 '' 'goalloc-run: */err: not executable' with "$scratch/err"
expect 127 '' 'goalloc-run: no-such-program: not found' with no-such-program
expect 127 '' 'goalloc-run: ./no-such-program: not found' with ./no-such-program
expect 0 'Usage: goalloc-run *' '' "$run" --help

exit $((failures > 0))
