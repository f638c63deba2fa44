#!/bin/sh
# Installs the Debian/Ubuntu packages this project needs and this machine lacks.
#
#   tools/system_packages.sh build   what `make demo` needs: gcc, make, Python with its venv module
#   tools/system_packages.sh test    what the tests need besides: clang and its sanitizers, CMake and Ninja, the
#                                    toolchain for Cortex-M with its C library, an emulator of boards with it,
#                                    and ccache, since most of them compile the same
#
# A package counts as missing when what it is for does not work, so compilers and Pythons that came some
# other way are left in peace. Without the right to install, names the packages and exits with 1.
set -eu

here=$(dirname "$0")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM

# compiles COMPILER [FLAGS...]: does it turn a hosted C11 program into an executable?
compiles() {
    command -v "$1" >/dev/null 2>&1 || return 1
    printf '#include <stdio.h>\nint main(void) { return puts("ok") < 0; }\n' >"$scratch/probe.c"
    "$@" -std=c11 "$scratch/probe.c" -o "$scratch/probe" >/dev/null 2>&1
}

# links_for_cortex_m: does arm-none-eabi-gcc make a program, with the C library's memcpy in it?
links_for_cortex_m() {
    command -v arm-none-eabi-gcc >/dev/null 2>&1 || return 1
    cat >"$scratch/probe_m.c" <<'SOURCE'
#include <stdint.h>
#include <string.h>
char to[64], from[64];
volatile uint32_t size = sizeof to;
int main(void) { memcpy(to, from, size); for (;;) { } }
SOURCE
    arm-none-eabi-gcc -std=c11 -O2 -mcpu=cortex-m4 -mthumb -nostartfiles -Wl,-e,main \
        "$scratch/probe_m.c" -o "$scratch/probe_m" >/dev/null 2>&1
}

emulates_boards() {
    command -v qemu-system-arm >/dev/null 2>&1 || return 1
    qemu-system-arm -machine help 2>/dev/null | grep '^mps2-an386 ' >/dev/null
}

# The name of the package with clang's sanitizers carries the version of the distribution's clang.
clang_runtime_package() {
    if command -v clang >/dev/null 2>&1; then
        major=$(clang -dumpversion | cut -d. -f1)
    else
        major=$(apt-cache depends clang 2>/dev/null | sed -n 's/.*Depends: clang-\([0-9][0-9]*\)$/\1/p' | head -n 1)
    fi
    if [ -n "$major" ]; then
        echo "libclang-rt-$major-dev"
    else
        echo "libclang-rt-dev"
    fi
}

missing_for_build() {
    command -v make >/dev/null 2>&1 || echo make
    compiles gcc || echo gcc libc6-dev
    "$here/find_python.sh" >/dev/null 2>&1 || "$here/find_python.sh" --package 2>/dev/null
}

missing_for_test() {
    command -v clang >/dev/null 2>&1 || echo clang
    compiles clang -fsanitize=address,undefined || clang_runtime_package
    command -v cmake >/dev/null 2>&1 || echo cmake
    command -v ninja >/dev/null 2>&1 || echo ninja-build
    links_for_cortex_m || echo gcc-arm-none-eabi libnewlib-arm-none-eabi
    emulates_boards || echo qemu-system-arm
    command -v ccache >/dev/null 2>&1 || echo ccache
}

case "${1-}" in
build | test) ;;
*)
    echo "usage: tools/system_packages.sh build|test" >&2
    exit 2
    ;;
esac

packages=$("missing_for_$1" | tr '\n' ' ')
packages=${packages% }
[ -n "$packages" ] || exit 0

as_root=
if [ "$(id -u)" -ne 0 ]; then
    if command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
        as_root="sudo -n"
    else
        as_root=refused
    fi
fi
if [ "$as_root" = refused ] || ! command -v apt-get >/dev/null 2>&1; then
    cat >&2 <<MESSAGE
setup: this machine lacks Debian packages, and setup may not install them here: $packages
setup: install them with 'apt-get install $packages' as root, then run this again
MESSAGE
    exit 1
fi

echo "setup: installing Debian packages: $packages"
# sudo drops the environment, hence `env`. An unreachable index is no error while the old lists still serve.
$as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq || echo "setup: 'apt-get update' failed" >&2
# The lists may only now know which clang the distribution has.
packages=$("missing_for_$1" | tr '\n' ' ')
# shellcheck disable=SC2086  # one word per package
if ! $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages >"$scratch/log" 2>&1; then
    tail -n 5 "$scratch/log" >&2
    echo "setup: could not install the Debian packages: $packages" >&2
    exit 1
fi

packages=$("missing_for_$1" | tr '\n' ' ')
if [ -n "$packages" ]; then
    echo "setup: installed, but still of no use here: $packages" >&2
    exit 1
fi
