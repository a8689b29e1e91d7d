#!/bin/bash
# Runs one misuse program with the library preloaded, in each mode that the table has lines for, which
# must be all: it must end as the table says, with the line on stderr that it promises.
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

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
ulimit -c 0

# Does the run in $work agree with what a line of the table says of it?
agrees() {
    local call=$1 cause=$2 want_status=$((128 + 6)) want
    case $call in
        -)
            [ "$status" -eq 0 ] && [ ! -s "$work/err" ]
            return
            ;;
        SIGSEGV)
            want_status=$((128 + 11)) want="goalloc: ${cause//POINTER/$pointer}"
            ;;
        *)
            want="goalloc: $call\\($pointer\\): $cause"
            ;;
    esac
    [ "$status" -eq $want_status ] || return
    [ "$(grep -cvE '^goalloc:   ' "$work/err")" -eq 1 ] && grep -qE "^$want\$" "$work/err"
}

modes=(0 1 2 3)
if [[ $name == *race* ]]; then # which goes one way or another: often enough to see each
    for _ in {1..50}; do
        modes+=(0 1 2 3)
    done
fi

for mode in "${modes[@]}"; do
    status=0
    # In a subshell of its own, so that bash's note on the abort does not mix with the program's line.
    (exec env LD_PRELOAD="$library" GOALLOC_CHECK=$mode GOALLOC_GUARD_RATE=1 "$program") \
        >"$work/out" 2>"$work/err" || status=$?
    pointer=$(cat "$work/out")
    [[ "$pointer" =~ ^0x[0-9a-f]+$ ]] || fail "the program announced no pointer but '$pointer'"
    right=
    while read -r _ which call cause; do
        if [[ $which == *$mode* ]] && agrees "$call" "$cause"; then
            right=yes
        fi
    done < <(grep "^$name " "$table")
    [ -n "$right" ] ||
        fail "mode $mode: exit status $status, pointer $pointer, stderr: $(cat "$work/err")"
done
