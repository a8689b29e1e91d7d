#!/usr/bin/env bash
# Checks that clang-format would leave the sources alone, or with --fix lays them out. Only version
# 14, the one that .clang-format was written for: each lays out some details differently. Exits with
# 77 without it.
#
#     format.sh ROOT [--fix]
set -euo pipefail

cd "$1"
fix=${2:-}

find_tool() {
    local tool
    for tool in clang-format-14 clang-format; do
        if "$tool" --version 2>/dev/null | grep -q 'version 14\.'; then
            echo "$tool"
            return
        fi
    done
}

# clang-format takes C for C++, where class is a keyword and "class++" makes no sense: in C files
# it sees another word of the same length.
formatted() {
    if [[ $1 == *.[ch] ]]; then
        sed 's/\<class\>/klass/g' "$1" | "$tool" --assume-filename="$1" | sed 's/\<klass\>/class/g'
    else
        "$tool" "$1"
    fi
}

tool=$(find_tool)
if [[ -z $tool ]]; then
    echo "format: skipped, there is no clang-format 14"
    exit 77
fi

output=$(mktemp)
trap 'rm -f "$output"' EXIT
faults=0
while read -r file; do
    formatted "$file" >"$output"
    if [[ $fix == --fix ]]; then
        cmp -s "$file" "$output" || cat "$output" >"$file"
    elif ! diff -u --label "$file" --label "$file as clang-format has it" "$file" "$output"; then
        faults=$((faults + 1))
    fi
done < <(find src arch include tests -type f \
    \( -name '*.[ch]' -o -name '*.cc' -o -name '*.cpp' \) ! -name sizeclass_table.h | sort)

((faults == 0)) || echo "format: $faults files; cmake --build build --target format lays them out"
exit $((faults > 0))
