#!/bin/bash
# Runs one misuse program with the library preloaded: it must die by SIGABRT with nothing on stderr
# but the one line that the table promises.
set -euo pipefail

if [ $# -ne 4 ]; then
    echo "usage: run.sh LIBRARY TABLE PROGRAM NAME" >&2
    exit 2
fi
library=$1 table=$2 program=$3 name=$4

fail() {
    echo "run.sh: $name: $*" >&2
    exit 1
}

read -r _ call cause < <(grep "^$name " "$table") || fail "not in $table"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
ulimit -c 0
status=0
# In a subshell of its own, so that bash's note on the abort does not mix with the program's line.
(exec env LD_PRELOAD="$library" "$program") >"$work/out" 2>"$work/err" || status=$?

[ "$status" -eq $((128 + 6)) ] ||
    fail "exit status $status, want $((128 + 6)) (SIGABRT); stderr: $(cat "$work/err")"
[ "$(wc -l <"$work/err")" -eq 1 ] || fail "stderr is not one line: $(cat "$work/err")"
pointer=$(cat "$work/out")
[[ "$pointer" =~ ^0x[0-9a-f]+$ ]] || fail "the program announced no pointer but '$pointer'"

line=$(cat "$work/err")
want="^goalloc: $call\\($pointer\\): $cause\$"
[[ "$line" =~ $want ]] || fail "'$line' does not match '$want'"
