#!/bin/sh
# Builds the C guests beside this file, which are committed built. Needs clang 19, lld, the wasm32 compiler-rt and wasi-libc:
#   apt-get install clang-19 lld-19 libclang-rt-19-dev-wasm32 wasi-libc
# build.sh FOLDER builds them into another folder.
set -eu
cd "$(dirname "$0")"
out=${1:-.}
# On a PATH with the linker only: clang runs a wasm-opt over what it links where it finds one.
tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
ln -s "$(command -v wasm-ld-19)" "$tools/"
clang=$(command -v "${CC:-clang-19}")
for guest in hello cgi; do
  PATH=$tools "$clang" --target=wasm32-wasi -Os -Wall -Werror -Wl,--strip-all -o "$out/$guest.wasm" "$guest.c"
done
