#!/usr/bin/env bash
# tar and the compressors: few, large and long-lived blocks, and threads in xz.
# shellcheck source=lib.sh disable=SC2317
source "$(dirname -- "$0")/lib.sh"

need tar xz gzip bzip2

active tar --version
active xz --version
active gzip -c /dev/null
active bzip2 -c /dev/null

awk 'BEGIN { x = 3; for (i = 0; i < 160000; i++) { x = (x * 16807) % 2147483647
    printf "%d %x %s\n", x, i, (x % 7 ? "some words that come again" : x * 3) } }' >"$in/data"
mkdir "$in/tree"
split -l 1000 -a 4 "$in/data" "$in/tree/part."
tar -C "$in" -c --sort=name tree | gzip -n >"$in/tree.tar.gz"

pack() {
    tar -C "$in" -c --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner "$@" tree
}

round_trip() {
    local tool=$1
    shift
    "$tool" "$@" <"$in/data" >packed
    "$tool" -t <packed
    "$tool" -d <packed | cmp - "$in/data"
}

damaged() {
    head -c 100000 "$in/tree.tar.gz" >short.gz
    gzip -t short.gz || echo "code $?"
    tar -xzf short.gz || echo "code $?"
}

same "tar, create" pack --verbose
same "tar, names that need long headers" pack --transform "s,^,$(printf 'long/%.0s' {1..40}),"
same "tar, extract" tar -xzf "$in/tree.tar.gz"
same "tar, list" tar -tvzf "$in/tree.tar.gz"
same "xz -T2" round_trip xz -T2 -2 --block-size=1MiB -c
same "xz -6" round_trip xz -6 -T1 -c
same "gzip" round_trip gzip -n -6 -c
same "bzip2" round_trip bzip2 -9 -c
same "a damaged archive" damaged
finish
