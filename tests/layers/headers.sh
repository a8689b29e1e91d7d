#!/usr/bin/env bash
# Compiles each header by itself, twice over: it must include what it needs and have a guard. With
# each CPU's include path, as far as there is a compiler for it. The public header must also be
# plain C99 and C++17.
#
#     headers.sh ROOT ARCH CC CXX        ARCH: x86_64 or arm64, the CPU that CC compiles for
set -uo pipefail

root=$1 native=$2 cc=$3 cxx=$4
faults=0

compile() {
    local header=$1
    shift
    printf '#include "%s"\n#include "%s"\n' "$header" "$header" |
        "$@" -fsyntax-only -Wall -Wextra -Werror - || {
        echo "headers: $header does not compile with: $*" >&2
        faults=$((faults + 1))
    }
}

compiler_for() {
    case $1 in
        "$native") echo "$cc" ;;
        arm64) command -v aarch64-linux-gnu-gcc ;;
        x86_64) command -v x86_64-linux-gnu-gcc ;;
    esac
}

for arch in x86_64 arm64; do
    compiler=$(compiler_for $arch)
    if [[ -z $compiler ]]; then
        echo "headers: no compiler for $arch here, not checked"
        continue
    fi
    for header in "$root"/src/*.h "$root/arch/$arch"/*.h; do
        compile "$header" "$compiler" -x c -std=gnu11 \
            -I "$root/src" -I "$root/include" -I "$root/arch/$arch"
    done
done

for header in "$root"/include/*.h; do
    compile "$header" "$cc" -x c -std=c99 -pedantic-errors
    compile "$header" "$cc" -x c -std=c11 -pedantic-errors
    compile "$header" "$cxx" -x c++ -std=c++17 -pedantic-errors
done

exit $((faults > 0))
