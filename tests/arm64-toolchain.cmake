# Builds for arm64 Linux on another machine with Debian's cross compiler, and runs what it built
# under qemu's user emulation. tests/run unpacks cmocka for arm64 into build-arm64/sysroot.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)

set(goalloc_sysroot "${CMAKE_CURRENT_LIST_DIR}/../build-arm64/sysroot")
get_filename_component(goalloc_sysroot "${goalloc_sysroot}" ABSOLUTE)
set(goalloc_libraries "${goalloc_sysroot}/usr/lib/aarch64-linux-gnu")

set(CMAKE_C_FLAGS_INIT "-isystem \"${goalloc_sysroot}/usr/include\"")
set(CMAKE_CXX_FLAGS_INIT "${CMAKE_C_FLAGS_INIT}")
set(CMAKE_EXE_LINKER_FLAGS_INIT
    "-L\"${goalloc_libraries}\" -Wl,-rpath,\"${goalloc_libraries}\"")

set(CMAKE_FIND_ROOT_PATH "${goalloc_sysroot}" /usr/aarch64-linux-gnu)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64 -L /usr/aarch64-linux-gnu)
