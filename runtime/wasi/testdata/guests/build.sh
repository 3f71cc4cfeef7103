#!/bin/sh
# Builds the C guests beside this file, which are committed built. Needs clang 19, lld, the wasm32 compiler-rt and wasi-libc:
#   apt-get install clang-19 lld-19 libclang-rt-19-dev-wasm32 wasi-libc
# build.sh FOLDER builds them into another folder.
set -eu
cd "$(dirname "$0")"
out=${1:-.}
# On a PATH with LLVM's own programs only: clang runs a wasm-opt over what it links where it finds one.
clang=$(realpath "$(command -v "${CC:-clang-19}")")
for guest in hello cgi; do
  PATH=$(dirname "$clang") "$clang" --target=wasm32-wasi -Os -Wall -Werror -Wl,--strip-all -o "$out/$guest.wasm" "$guest.c"
done
