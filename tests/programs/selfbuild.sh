#!/usr/bin/env bash
# goalloc builds goalloc: CMake, Ninja, the compiler and the linker run on the library, and what
# they make must be the same library, and pass its own unit and api tests.
# shellcheck source=lib.sh disable=SC2317
source "$(dirname -- "$0")/lib.sh"

need cmake ctest ninja cc

source_tree=$(readlink -f -- "$programs/../..")
product=$work/product

active cmake --version
active ninja --version
active ctest --version

# The tree is copied, so that both builds see the same paths and neither touches build/.
mkdir "$in/source"
tar -C "$source_tree" -c --exclude='./build*' --exclude=./.git . | tar -C "$in/source" -x

# Without goalloc, only what is compared.
build_all() {
    local target=goalloc
    [[ -z ${LD_PRELOAD:-} ]] || target=all
    cmake -G Ninja -S "$in/source" -B build -DCMAKE_BUILD_TYPE=Release -DBUILD_TESTING=ON >log
    cmake --build build --parallel 2 --target "$target" >>log || {
        tail -n 20 log
        return 1
    }
    rm -rf "$product"
    cp -r build "$product"
    sha256sum build/libgoalloc.so
    rm -rf build log
}

same "configure and build" build_all
((failures == 0)) || finish

# The tests look for their programs where they were built.
mkdir -p "$current"
mv "$product" "$current/build"
ctest --test-dir "$current/build" --label-regex '^(unit|api)$' --parallel 2 --timeout 120 \
    --no-tests=error --output-on-failure >"$work/tests" 2>&1 ||
    fail "tests of the build that goalloc made: $(tail -n 40 "$work/tests")"
finish
