#!/usr/bin/env bash
# What is installed serves a program that is built with what pkg-config says: shared, static, and
# after the whole has moved elsewhere.
set -euo pipefail

if (($# != 3)); then
    echo "usage: installed.sh CMAKE BUILD_DIRECTORY COMPILER" >&2
    exit 2
fi
cmake=$1 build=$2 compiler=$3
scratch=$(mktemp -d)
trap 'rm -rf -- "$scratch"' EXIT

cat >"$scratch/program.c" <<'END'
#include <goalloc.h>
#include <stdio.h>
#include <stdlib.h>

int main(void) {
    void *block = malloc(100000);
    printf("%s %d\n", goalloc_version(), block != NULL);
    free(block);
    return 0;
}
END

# build_and_run PREFIX PKG_CONFIG_OPTION...: prints what the program prints.
build_and_run() {
    local prefix=$1 directory flags
    shift
    directory=$(dirname -- "$(find "$prefix" -name goalloc.pc)")
    read -ra flags <<<"$(PKG_CONFIG_PATH=$directory pkg-config --cflags --libs "$@" goalloc)"
    [[ " ${flags[*]} " == *" -I$prefix/"* || " ${flags[*]} " == *" -I$directory/"* ]] || {
        echo "installed.sh: flags of another prefix than $prefix: ${flags[*]}" >&2
        return 1
    }
    "$compiler" "$scratch/program.c" -o "$scratch/program" "${flags[@]}"
    LD_LIBRARY_PATH=${directory%/pkgconfig} "$scratch/program"
}

"$cmake" --install "$build" --prefix "$scratch/here" >/dev/null
version=$(sed -n 's/^Version: //p' "$(find "$scratch/here" -name goalloc.pc)")
[[ $(build_and_run "$scratch/here") == "$version 1" ]]
mv "$scratch/here" "$scratch/there"
[[ $(build_and_run "$scratch/there") == "$version 1" ]]
[[ $(build_and_run "$scratch/there" --static) == "$version 1" ]]
