#!/usr/bin/env bash
# Builds the JavaScript engine: quickjs-ng and its embedding, to one WebAssembly module.
#
#   build.sh            builds and says whether the result equals the committed artifact
#   build.sh --commit   builds and replaces the committed artifact and ENGINE.txt
#
# The sources of quickjs-ng and of the URL parser ada come inside crates from cargo's registry, where a version never
# changes; their checksums are below. The toolchain is Debian 12's. Same sources and toolchain, same bytes.
set -euo pipefail
export LC_ALL=C

here=$(cd "$(dirname "$0")" && pwd)
artifact=$here/../javascript.wasm.zst

quickjs_crate=rquickjs-sys quickjs_crate_version=0.14.0 quickjs_version=0.16.2
quickjs_sha256=cee271d0eeba64f0915b846cb7ae02e16faf3dfdffdca91731101d9d30fe3423
ada_crate=ada-url ada_crate_version=4.0.0
ada_sha256=c153db7a5a9f8a92a313dff0fecbbb28198542fc98bf024b961baf9896408347
packages=(clang-19 lld-19 libclang-rt-19-dev-wasm32 libc++-19-dev-wasm32 wasi-libc zstd patch)

missing=()
for p in "${packages[@]}"; do
  dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'install ok installed' || missing+=("$p")
done
if ((${#missing[@]})); then
  echo "installing ${missing[*]}"
  apt-get update -qq && apt-get install -y -qq "${missing[@]}" >/dev/null
fi
command -v cargo >/dev/null || { echo "error: cargo is needed to obtain the sources" >&2; exit 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

mkdir -p "$work/crate/src" && touch "$work/crate/src/lib.rs"
cat >"$work/crate/Cargo.toml" <<EOF
[package]
name = "sources"
version = "0.0.0"
edition = "2021"
[dependencies]
$quickjs_crate = "=$quickjs_crate_version"
$ada_crate = "=$ada_crate_version"
EOF
(cd "$work/crate" && cargo vendor --quiet --versioned-dirs ../vendor >/dev/null)

# cargo has compared each file with the crate's list, and the crate with the registry's checksum; this is the pinned one.
check() {
  grep -q "\"package\":\"$2\"" "$work/vendor/$1/.cargo-checksum.json" || { echo "error: $1 is not the crate with sha256 $2" >&2; exit 1; }
}
check "$quickjs_crate-$quickjs_crate_version" "$quickjs_sha256"
check "$ada_crate-$ada_crate_version" "$ada_sha256"

src=$work/src
mkdir "$src"
cp "$work/vendor/$quickjs_crate-$quickjs_crate_version/quickjs/"*.{c,h} "$src/"
cp "$work/vendor/$ada_crate-$ada_crate_version/deps/"ada{.cpp,.h,_c.h} "$src/"
cp -r "$here"/*.{c,h} "$here/prelude" "$src/"
patch -s -d "$src" -p1 <"$here/quickjs.patch"

cd "$src"
common=(--target=wasm32-wasi -O2 -DNDEBUG -fno-strict-aliasing -fwrapv -funsigned-char
  -mbulk-memory -msign-ext -mnontrapping-fptoint -D_GNU_SOURCE -D_WASI_EMULATED_SIGNAL -D_WASI_EMULATED_PROCESS_CLOCKS -I.)
c=("${common[@]}" -std=gnu11 -w)
clang++-19 "${common[@]}" -Os -std=c++20 -fno-exceptions -fno-rtti -ffunction-sections -fdata-sections \
  -DADA_INCLUDE_URL_PATTERN=0 -w -c ada.cpp -o ada.o &
for f in libregexp libunicode dtoa wasi embed; do
  clang-19 "${c[@]}" -c "$f.c" -o "$f.o" &
done
wait
for f in ada libregexp libunicode dtoa wasi embed; do [ -f "$f.o" ]; done

lib=/usr/lib/wasm32-wasi
wasm-ld-19 --stack-first -z stack-size=1048576 --no-entry --strip-all --gc-sections --export=__stack_pointer -o javascript.wasm \
  $lib/crt1-reactor.o embed.o wasi.o libregexp.o libunicode.o dtoa.o ada.o \
  -L$lib -lwasi-emulated-signal -lwasi-emulated-process-clocks -L/usr/lib/llvm-19/lib/wasm32-wasi -lc++ -lm -lc \
  "$(clang-19 --target=wasm32-wasi -print-resource-dir)/lib/wasi/libclang_rt.builtins-wasm32.a"
zstd -q -19 javascript.wasm

describe() {
  echo "quickjs-ng          $quickjs_version, from the crate $quickjs_crate $quickjs_crate_version"
  echo "crate sha256        $quickjs_sha256"
  echo "ada                 from the crate $ada_crate $ada_crate_version"
  echo "crate sha256        $ada_sha256"
  for p in "${packages[@]:0:6}"; do printf '%-19s %s\n' "$p" "$(dpkg-query -W -f '${Version}' "$p")"; done
  echo "javascript.wasm     $(stat -c %s javascript.wasm) bytes, sha256 $(sha256sum <javascript.wasm | cut -d' ' -f1)"
  echo "javascript.wasm.zst $(stat -c %s javascript.wasm.zst) bytes, sha256 $(sha256sum <javascript.wasm.zst | cut -d' ' -f1)"
}

if [ "${1-}" = --commit ]; then
  cp javascript.wasm.zst "$artifact"
  describe >"$here/ENGINE.txt"
  echo "wrote javascript.wasm.zst: $(stat -c %s javascript.wasm.zst) bytes"
elif [ -f "$artifact" ] && zstd -q -d -c "$artifact" | cmp -s - javascript.wasm; then
  echo "javascript: the build equals the committed artifact"
else
  echo "javascript: the build DIFFERS from the committed artifact (build.sh --commit replaces it)" >&2
  describe >&2
  exit 1
fi
