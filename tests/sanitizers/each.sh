#!/usr/bin/env bash
# Runs each of the programs named and fails when one of them does; the others still run.
set -uo pipefail

faults=0
for program; do
    "$program" || {
        echo "each: ${program##*/} failed" >&2
        faults=$((faults + 1))
    }
done
exit $((faults > 0))
