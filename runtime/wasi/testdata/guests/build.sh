#!/bin/sh
# Builds the C guests beside this file, which are committed built. Needs clang 19, lld, the wasm32 compiler-rt and wasi-libc:
#   apt-get install clang-19 lld-19 libclang-rt-19-dev-wasm32 wasi-libc
# build.sh FOLDER builds them into another folder.
set -eu
cd "$(dirname "$0")"
out=${1:-.}
for guest in hello cgi; do
  "${CC:-clang-19}" --target=wasm32-wasi --no-wasm-opt -Os -Wall -Werror -Wl,--strip-all -o "$out/$guest.wasm" "$guest.c"
done
