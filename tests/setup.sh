# shellcheck shell=bash
# What goalloc-run and tests/run share: which packages a build and the tests need, how they get
# onto the machine, and how a build directory is made and brought up to date. Sourced, not run.
#
# The lists are complete for a minimal Debian 12 and hold under Debian 13 and Ubuntu; elsewhere the
# tools are looked for by name, and what is missing is left to the user.

build_packages=(cmake ninja-build gcc libc6-dev)

test_packages=(
    "${build_packages[@]}"
    # To build and run the tests: two compilers, the checkers, and the tools tests look with.
    g++ clang clang-format clang-tidy libclang-rt-14-dev libcmocka-dev
    binutils file libfaketime pkg-config procps python3 util-linux libcap2-bin valgrind
    # The programs that tests/programs runs on top of the library.
    bash bzip2 coreutils default-jdk-headless gawk ghostscript git grep gzip libpython3.11-testsuite
    lua5.4 mawk nodejs perl php-cli redis-tools ruby sed sqlite3 tar xz-utils
)

# Only a machine that is not itself arm64 needs the emulator and the cross compilers.
cross_packages=(gcc-aarch64-linux-gnu g++-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user)

setup_say() {
    printf '%s\n' "$*" >&2
}

# Prints those of the packages named that are not installed. One call of dpkg-query, so that a
# machine with everything on it pays some milliseconds and downloads nothing.
setup_missing_packages() {
    local -A installed=()
    local name status wanted
    while read -r name status; do
        [[ $status == installed ]] && installed[${name%%:*}]=1
    done <<<"$(dpkg-query -W -f '${binary:Package} ${db:Status-Status}\n' "$@" 2>/dev/null)"
    for wanted in "$@"; do
        [[ -n ${installed[$wanted]:-} ]] || printf '%s ' "$wanted"
    done
}

# Other releases name some packages differently: of the names given, those that apt knows.
setup_known_packages() {
    local name
    for name in "$@"; do
        if apt-cache show "$name" >/dev/null 2>&1; then
            printf '%s ' "$name"
        else
            setup_say "apt knows no package $name here: what needs it is left out"
        fi
    done
}

# Runs a command quietly, unless it fails: then all that it said is shown.
setup_quietly() {
    local output
    output=$("$@" 2>&1) || {
        setup_say "$output"
        setup_say "This failed: $*"
        return 1
    }
}

# Makes sure that the packages named are installed. Fails, with the line to type, when some are
# missing and this user may not install them.
setup_debian() {
    local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -q
        -o DPkg::Lock::Timeout=120 -o Dpkg::Use-Pty=0)
    local missing known
    read -ra missing <<<"$(setup_missing_packages "$@")"
    ((${#missing[@]} > 0)) || return 0

    if ((EUID != 0)); then
        if ! sudo -n true 2>/dev/null; then
            setup_say "These packages are missing; install them and start again:"
            setup_say "  sudo apt-get update &&" \
                "sudo apt-get install -y --no-install-recommends ${missing[*]}"
            return 1
        fi
        apt=(sudo -n "${apt[@]}")
    fi
    setup_say "Installing ${#missing[@]} packages: ${missing[*]}"
    setup_quietly "${apt[@]}" update || setup_say "Trying with the package lists of before."
    read -ra known <<<"$(setup_known_packages "${missing[@]}")"
    ((${#known[@]} == 0)) ||
        setup_quietly "${apt[@]}" install -y --no-install-recommends "${known[@]}"
}

# Prints the build tools that are missing, whatever system this is.
setup_missing_tools() {
    command -v cmake >/dev/null || echo "cmake"
    command -v ninja >/dev/null || command -v make >/dev/null || echo "ninja or make"
    echo '#include <stdlib.h>' | "${CC:-cc}" -E -o /dev/null - 2>/dev/null ||
        echo "a C compiler with the C library's headers"
}

# Where there is no apt: names what is missing.
setup_elsewhere() {
    local missing
    missing=$(setup_missing_tools)
    [[ -n $missing ]] || return 0
    setup_say "These are missing; install them and start again:"
    setup_say "$missing"
    return 1
}

setup_has_apt() {
    command -v dpkg-query >/dev/null && command -v apt-get >/dev/null
}

# What a build needs. Tools that came from elsewhere than from packages are as good.
setup_build() {
    [[ -n $(setup_missing_tools) ]] || return 0
    if setup_has_apt; then
        setup_debian "${build_packages[@]}"
    else
        setup_elsewhere
    fi
}

# What the tests need.
setup_tests() {
    if ! setup_has_apt; then
        setup_elsewhere
    elif [[ $(dpkg --print-architecture) == arm64 ]]; then
        setup_debian "${test_packages[@]}"
    else
        setup_debian "${test_packages[@]}" "${cross_packages[@]}"
    fi
}

# Unpacks cmocka for arm64 into the directory named, for the cross build. The system is left as
# it is: a foreign architecture is not added, apt works on lists of its own in that directory.
setup_arm64_cmocka() {
    local sysroot=$1 state=$1/apt apt
    [[ ! -f $sysroot/usr/include/cmocka.h ]] || return 0
    rm -rf "$sysroot"
    mkdir -p "$state"/{lists,archives}/partial || return
    apt=(apt-get -q -o APT::Architecture=arm64 -o APT::Architectures=arm64
        -o APT::Sandbox::User=root -o Dir::State::Lists="$state/lists"
        -o Dir::Cache="$state" -o Dir::Cache::archives="$state/archives")
    setup_say "Fetching cmocka for arm64"
    setup_quietly "${apt[@]}" update &&
        setup_quietly env -C "$state" "${apt[@]}" download libcmocka0 libcmocka-dev &&
        dpkg-deb -x "$state"/libcmocka0_*.deb "$sysroot" &&
        dpkg-deb -x "$state"/libcmocka-dev_*.deb "$sysroot" &&
        rm -rf "$state"
}

# True when the directory holds a finished configuration of this source tree. One that was made
# elsewhere (the tree was moved, or is mounted at another place) does not count.
setup_configured() {
    local source=$1 build=$2
    [[ -f $build/build.ninja || -f $build/Makefile ]] &&
        grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$source" "$build/CMakeCache.txt" 2>/dev/null
}

# Configures a Release build of the source tree with the further options given. A configuration
# that is there is kept and brought up to date; one of another place makes way.
setup_configure() {
    local source=$1 build=$2 generator=()
    shift 2
    if ! setup_configured "$source" "$build"; then
        rm -rf "$build/CMakeCache.txt" "$build/CMakeFiles"
        if command -v ninja >/dev/null; then
            generator=(-G Ninja)
        fi
    fi
    cmake -S "$source" -B "$build" "${generator[@]}" -DCMAKE_BUILD_TYPE=Release "$@"
}

# Runs a command while holding the build directory's lock, so that two goalloc-runs started
# together do not both build. Without flock there is no lock, and the user has to take care.
setup_locked() {
    local build=$1
    shift
    if ! command -v flock >/dev/null; then
        "$@"
        return
    fi
    (
        flock 9 || exit
        "$@" 9>&-
    ) 9>"$build/.lock"
}
