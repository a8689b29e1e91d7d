#!/usr/bin/env bash
# A part of Python's own test suite with every object a malloc. Its output holds times, so what is
# compared is the result of each single test: both runs must run the same tests, and none may fail.
# shellcheck source=lib.sh disable=SC2317
source "$(dirname -- "$0")/lib.sh"

need python3
export PYTHONMALLOC=malloc PYTHONHASHSEED=1
if ! python3 -c 'import test.test_json' 2>/dev/null; then
    say "skipped: Python's test suite is not installed"
    exit $skip_code
fi

active python3 -m test --list-tests test_dict

modules=(
    test_array test_bytes test_collections test_ctypes test_deque test_dict test_dictviews
    test_exceptions test_fork1 test_gc test_generators test_heapq test_itertools test_json
    test_list test_memoryview test_pickle test_re test_set test_sort test_struct test_subprocess
    test_thread test_threading test_threading_local test_weakref test_zlib
)

run_suite() {
    local code=0
    python3 -m test -v -j2 --timeout 120 "${modules[@]}" >"$work/log" 2>&1 || code=$?
    if ((code != 0)); then
        grep -E -A 20 '^(ERROR|FAIL|Fatal|Traceback)' "$work/log" | head -n 60 >&2 || true
    fi
    # Lines such as "test_name (test.test_json.TestX.test_name) ... ok".
    grep -oE '^test\w* \(test\.[^)]*\)' "$work/log" | sort
    rm -rf ./*
    return "$code"
}

same "${#modules[@]} modules of the test suite" run_suite
(($(wc -l <"$work/with_goalloc/out") > 3000)) || fail "too few tests were run"
finish
