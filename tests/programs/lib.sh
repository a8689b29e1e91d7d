# shellcheck shell=bash
# What the program tests share. A test runs real programs twice, plain and with goalloc preloaded,
# and both runs must agree in what they print, in their exit code and in the files they leave:
#
#     source "$(dirname "$0")/lib.sh"
#     need sort                            # skip the test where the program cannot be had
#     active sort --version                # goalloc really is in that program
#     same "sort -n" sort -n "$in/numbers"
#     finish
#
# The library is that of build/, or the one that GOALLOC_LIB names. GOALLOC_CHECK may name several
# modes, as in "0 1 2 3": each is compared with the same plain run.
set -euo pipefail

programs=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")
library=${GOALLOC_LIB:-$programs/../../build/libgoalloc.so}
skip_code=77 # as CMakeLists.txt tells CTest

read -ra modes <<<"${GOALLOC_CHECK:-0}"
mode=${modes[0]} # of the next run

# The distribution's programs come first: those are the ones whose packages are installed.
export PATH=/usr/bin:/bin:$PATH LC_ALL=C.UTF-8 TZ=UTC
unset LD_PRELOAD "${!GOALLOC_@}"

work=$(mktemp -d "${TMPDIR:-/tmp}/goalloc-programs.XXXXXX")
trap 'rm -rf "$work"' EXIT
in=$work/in         # what the script generates for the programs to read
current=$work/cwd   # where the programs run: empty at each start
export HOME=$work/home TMPDIR=$work/tmp
mkdir "$in" "$HOME" "$TMPDIR"

# A path in LD_PRELOAD ends at a blank, which the build directory's may hold: go by a link.
preload=$work/libgoalloc.so
compared=0
failures=0

say() {
    printf '%s\n' "$*" >&2
}

fail() {
    say "FAILED: $*"
    failures=$((failures + 1))
}

if [[ ! -f $library ]]; then
    say "no library $library: build it first, or set GOALLOC_LIB"
    exit 1
fi
ln -s "$(readlink -f -- "$library")" "$preload"

# Ends the test as skipped when one of the programs is not installed.
need() {
    local program
    for program in "$@"; do
        command -v "$program" >/dev/null && continue
        say "skipped: $program is not installed"
        exit $skip_code
    done
}

# Runs a command with goalloc preloaded, or plain. The command may be a function: what it starts
# is then preloaded, while the shell that runs it is not. Where blocks are sampled, many are.
with_goalloc() (
    export LD_PRELOAD=$preload GOALLOC_CHECK=$mode GOALLOC_GUARD_RATE=200
    "$@"
)

plain() (
    "$@"
)

# Checks that goalloc is in the program, in each mode: it says so itself as it starts.
active() {
    for mode in "${modes[@]}"; do
        GOALLOC_VERBOSE=1 with_goalloc "$@" >/dev/null 2>"$work/verbose" </dev/null || true
        grep -q '^goalloc: version' "$work/verbose" || fail "goalloc is not active in: $*"
        grep -Eq "^goalloc: +CHECK +$mode[: ]" "$work/verbose" ||
            fail "the mode is not $mode in: $*"
    done
}

# The names and contents of the files below the current directory, in a fixed order.
digest_files() {
    find . -type f -print0 | sort -z | xargs -0 -r sha256sum
}

# Runs a command in an empty directory and keeps what it did in $work/WAY: out, err, code, files.
run_case() {
    local way=$1 kept=$work/$1 code
    shift
    rm -rf "$current" "$kept"
    mkdir "$current" "$kept"
    # Not as a condition: that would switch off set -e inside functions.
    set +e
    (
        set -e
        cd "$current"
        "$way" "$@"
    ) >"$kept/out" 2>"$kept/err" </dev/null
    code=$?
    set -e
    echo "$code" >"$kept/code"
    (cd "$current" && digest_files) >"$kept/files"
}

# Compares what the last run left with what the plain one did.
compare() {
    local what differs=
    for what in code out err files; do
        cmp -s "$work/plain/$what" "$work/with_goalloc/$what" && continue
        differs+=" $what"
        diff -a -u "$work/plain/$what" "$work/with_goalloc/$what" | head -n 20 | cut -c 1-200 >&2 ||
            true
    done
    compared=$((compared + 1))
    [[ -z $differs ]] || fail "$1: differs in$differs"
}

# Compares a command's plain run with its runs on goalloc, one for each mode. The command must
# succeed and produce something, so that two runs which fail alike do not pass.
same() {
    local name=$1
    shift
    run_case plain "$@"
    if [[ $(<"$work/plain/code") != 0 ]]; then
        tail -n 20 "$work/plain/err" >&2
        fail "$name: exit code $(<"$work/plain/code") without goalloc"
        return
    elif [[ ! -s $work/plain/out && ! -s $work/plain/files ]]; then
        fail "$name: no output to compare"
        return
    fi
    for mode in "${modes[@]}"; do
        run_case with_goalloc "$@"
        compare "$name, GOALLOC_CHECK=$mode"
    done
}

# Ends the test with its result.
finish() {
    if ((failures > 0)); then
        say "$failures failures"
        exit 1
    fi
    say "$compared comparisons: the same with and without goalloc"
    exit 0
}
