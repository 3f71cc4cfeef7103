#!/usr/bin/env bash
# Builds the Python engines: CPython 3.11 and 3.13, their standard libraries and their embedding, to one WebAssembly module each.
#
#   build.sh              builds and says whether the results equal the committed artifacts
#   build.sh --commit     builds and replaces the committed artifacts and ENGINE.txt
#   build.sh --work DIR   keeps what is made on the way there, so that the next run only compiles the embedding and links
#
# The sources are Debian's, with its security patches: 3.11 from Debian 12, 3.13 and the libraries from Debian 13, from the mirror
# that this machine's apt uses; versions and checksums are below. The toolchain is Debian 12's. Same sources and toolchain, same bytes.
set -euo pipefail
export LC_ALL=C TZ=UTC SOURCE_DATE_EPOCH=1767225600 PYTHONHASHSEED=0 PYTHONDONTWRITEBYTECODE=1

here=$(cd "$(dirname "$0")" && pwd)
commit= work=
while (($#)); do
  case $1 in
    --commit) commit=1 ;;
    --work) mkdir -p "$2"; work=$(cd "$2" && pwd); shift ;;
    *) echo "usage: build.sh [--commit] [--work DIR]" >&2; exit 2 ;;
  esac
  shift
done
if [ -z "$work" ]; then
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
fi

packages=(clang-19 lld-19 llvm-19 libclang-rt-19-dev-wasm32 wasi-libc python3.11-minimal libpython3.11-stdlib tcl8.6 dpkg-dev make patch zstd)

# Source packages: name, version, sha256 of the .dsc, which has those of its files.
sources=(
  "python3.11 3.11.2-6+deb12u8 197fa19ab45f41c820f40f6d9ead671c2ea29ddc53ba9424b36f1bf58458a10e"
  "python3.13 3.13.5-2+deb13u5 4be84e20fb902354fa86955e2fbea6e8bdbd158f54833423488308a9b3532662"
  "zlib 1:1.3.dfsg+really1.3.1-1 ede2791e29c1d3b422f9208bdd7edf040c20445ea1e7453a72037576e64fa197"
  "bzip2 1.0.8-6 cd3bfd77254a6b5ef1be144bdc90a0dd374bc8206afd98ba4abf828741b79820"
  "xz-utils 5.8.1-1+deb13u1 ddadd9d9f7c4bb80b08f9f17409e2701a29a4cf8fe25e15d19605e5281c1fc1b"
  "sqlite3 3.46.1-7+deb13u2 46e1eec171e11108fc436e45309b635b601029726b6ffd3bf435bb474e511638"
)

# Binary packages, of amd64: the time zones, and a Python 3.13 for the build, which runs with its own C library.
binaries=(
  "tzdata 2026b-0+deb12u1 0edb49f4dffe0d5608069f7e4ba4d69544d3b9e86fc314dd8b75e9958d8e5e98"
  "python3.13-minimal 3.13.5-2+deb13u5 c1fda9e7b1bf15b2fa75a238d8a8710e142fe14c722fc650c5fc614f078c9073"
  "libpython3.13-minimal 3.13.5-2+deb13u5 a4aa6a9a8c77f87bfe545e1d14ec42c001d189ace90e3aa75deec882b39dee49"
  "libpython3.13-stdlib 3.13.5-2+deb13u5 db161322a3481d2c0c3b9a3b9a03c3ab0e2b1718f54b88755fb4a3f939165b84"
  "libc6 2.41-12+deb13u4 967aa62605721081c3eb2a17650611a792aa802d76a6511d1840242623d204c9"
  "libexpat1 2.8.3-1~deb13u1 38abe0e710a07688e9c149d74536e67cfee0364bdb64dd6d644c32a1cfad389f"
  "zlib1g 1:1.3.dfsg+really1.3.1-1+b1 015be740d6236ad114582dea500c1d907f29e16d6db00566ca32fb68d71ac90d"
)

# What of the standard library cannot work in an instance, or is no library.
left_out=(test idlelib tkinter lib2to3 turtledemo turtle.py ensurepip venv distutils _distutils_system_mod.py pydoc_data curses msilib ctypes
  __phello__ site-packages _aix_support.py _osx_support.py _ios_support.py _android_support.py _apple_support.py)

llvm=/usr/lib/llvm-19/bin
step() { echo "python: $*" >&2; }

install_packages() {
  local missing=() p
  for p in "${packages[@]}"; do
    dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'install ok installed' || missing+=("$p")
  done
  if ((${#missing[@]})); then
    step "installing ${missing[*]}"
    apt-get update -qq && apt-get install -y -qq "${missing[@]}" >/dev/null
  fi
}

# apt for Debian 12 and 13, sources too, beside the machine's own.
scratch_apt() {
  local a=$work/apt uri release
  if [ ! -f "$a/ready" ]; then
    mkdir -p "$a"/{parts,main,lists/partial,cache/archives/partial}
    apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' | sort -u | while read -r uri release; do
      case $release in bookworm | bookworm-security) ;; *) continue ;; esac
      printf 'Types: deb deb-src\nURIs: %s\nSuites: %s %s\nComponents: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n\n' \
        "$uri" "$release" "${release/bookworm/trixie}"
    done >"$a/parts/debian.sources"
    sed '/^Types/,/^$/{H;/^$/!d;s/.*//;x;/security/d}' "$a/parts/debian.sources" >"$a/main/debian.sources"
    : >"$a/ready"
    scratch_apt get update -qq
  fi
  "apt-$1" -q -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts="$a/${archives-parts}" -o Dir::State::Lists="$a/lists" -o Dir::Cache="$a/cache" \
    -o APT::Sandbox::User=root "${@:2}"
}

# The security archive lists versions that it no longer has, and that the main one does.
from_either() { scratch_apt "$@" >/dev/null || archives=main scratch_apt "$@" >/dev/null; }

check() { # file, sha256
  echo "$2  $1" | sha256sum --quiet -c - >&2 || { echo "error: $1 is not the file with sha256 $2" >&2; exit 1; }
}

fetch_sources() {
  local name version sum
  mkdir -p "$work/packages"
  cd "$work/packages"
  while read -r name version sum; do
    [ -d "$work/src/$name" ] && continue
    step "source of $name $version"
    local dsc=${name}_${version#*:}.dsc
    [ -f "$dsc" ] || from_either get source --download-only "$name=$version" ||
      { echo "error: the mirror has no source of $name $version: a newer one is to be pinned" >&2; exit 1; }
    check "$dsc" "$sum"
    mkdir -p "$work/src"
    dpkg-source --no-check -x "$dsc" "$work/src/$name" >/dev/null
    if [ -f "$here/$name.patch" ]; then
      patch -s -d "$work/src/$name" -p1 <"$here/$name.patch"
      # The parser's every rule: half as much again as upstream allows for WASI, as long as there is stack.
      sed -i -e 's/if (p->level++ == MAXSTACK) {/if (p->level++ == MAXSTACK || _Py_StackIsLow()) {/' -e 's/MAXSTACK 4000/MAXSTACK 6000/' \
        -e 's/^#include "pegen.h"$/#include "pegen.h"\n#include "pycore_ceval.h"/' "$work/src/$name/Parser/parser.c"
    fi
  done < <(printf '%s\n' "${sources[@]}")
  while read -r name version sum; do
    local deb
    [ -d "$work/deb/$name" ] && continue
    deb=$(compgen -G "${name}_${version//:/%3a}_*.deb") || {
      from_either get download "$name=$version" ||
        { echo "error: the mirror has no package $name $version: a newer one is to be pinned" >&2; exit 1; }
      deb=$(compgen -G "${name}_${version//:/%3a}_*.deb")
    }
    check "$deb" "$sum"
    mkdir -p "$work/deb/$name"
    dpkg -x "$deb" "$work/deb/$name"
  done < <(printf '%s\n' "${binaries[@]}")
}

# The compilers: for the guest, and the Pythons that the build runs.
make_tools() {
  local d=$work/deb
  mkdir -p "$work/bin"
  cat >"$work/bin/cc" <<EOF
#!/bin/sh
exec clang-19 --target=wasm32-wasi -mbulk-memory -msign-ext -mmutable-globals -mnontrapping-fptoint -ffile-prefix-map=$work=. "\$@"
EOF
  cat >"$work/bin/python3.11" <<EOF
#!/bin/sh
exec /usr/bin/python3.11 "\$@"
EOF
  rm -rf "$work/host"
  mkdir "$work/host"
  cp -a "$d"/python3.13-minimal/. "$d"/libpython3.13-minimal/. "$d"/libpython3.13-stdlib/. "$d"/libc6/. "$d"/libexpat1/. "$d"/zlib1g/. "$work/host/"
  cat >"$work/bin/python3.13" <<EOF
#!/bin/sh
exec $work/host/usr/lib64/ld-linux-x86-64.so.2 --library-path $work/host/usr/lib/x86_64-linux-gnu $work/host/usr/bin/python3.13 "\$@"
EOF
  chmod +x "$work"/bin/*
}

build_libraries() {
  local f lib=$work/lib cc=$work/bin/cc
  [ -f "$lib/ready" ] && return
  step "libraries"
  mkdir -p "$lib/include"
  cd "$work/src/zlib"
  for f in adler32 crc32 deflate inffast inflate inftrees trees zutil compress uncompr infback; do "$cc" -O3 -DNDEBUG -w -c $f.c -o $f.o; done
  $llvm/llvm-ar rcsD "$lib/libz.a" ./*.o
  cp zlib.h zconf.h "$lib/include/"
  cd "$work/src/bzip2"
  for f in blocksort huffman crctable randtable compress decompress bzlib; do "$cc" -O2 -DBZ_NO_STDIO -w -c $f.c -o $f.o; done
  $llvm/llvm-ar rcsD "$lib/libbz2.a" ./*.o
  cp bzlib.h "$lib/include/"
  mkdir -p "$work/src/xz-utils/o"
  cd "$work/src/xz-utils/o"
  CC=$cc AR=$llvm/llvm-ar RANLIB=$llvm/llvm-ranlib CFLAGS='-O2 -DNDEBUG' ../configure -q --host=wasm32-unknown-wasi --disable-threads --disable-xz \
    --disable-xzdec --disable-lzmadec --disable-lzmainfo --disable-scripts --disable-doc --disable-nls --disable-shared --disable-assembler >log 2>&1
  make -C src/liblzma -j2 >>log 2>&1
  cp src/liblzma/.libs/liblzma.a "$lib/"
  cp -r ../src/liblzma/api/lzma* "$lib/include/"
  cd "$work/src/sqlite3"
  { ./configure -q --disable-tcl && make sqlite3.c; } >log 2>&1
  "$cc" -O2 -DNDEBUG -DSQLITE_THREADSAFE=0 -DSQLITE_OMIT_LOAD_EXTENSION -DSQLITE_DEFAULT_UNIX_VFS='"unix-none"' -DSQLITE_MAX_MMAP_SIZE=0 \
    -DSQLITE_ENABLE_FTS5 -DSQLITE_ENABLE_RTREE -DSQLITE_ENABLE_MATH_FUNCTIONS -DSQLITE_ENABLE_COLUMN_METADATA -D_WASI_EMULATED_GETPID \
    -w -c sqlite3.c -o sqlite3.o
  $llvm/llvm-ar rcsD "$lib/libsqlite3.a" sqlite3.o
  cp sqlite3.h "$lib/include/"
  : >"$lib/ready"
}

build_python() { # version, host, configure's variables
  local v=$1 host=$2 lib=$work/lib
  local b=$work/build$v
  [ -f "$b/ready" ] && return
  step "CPython $v"
  rm -rf "$b"
  mkdir "$b"
  cd "$b"
  env CONFIG_SITE="../src/python$v/Tools/wasm/config.site-wasm32-wasi" CC="$work/bin/cc" CXX=false CPP="$work/bin/cc -E" AR=$llvm/llvm-ar \
    RANLIB=$llvm/llvm-ranlib READELF=true OPT='-DNDEBUG -O3' ZLIB_CFLAGS="-I$lib/include" ZLIB_LIBS="-L$lib -lz" BZIP2_CFLAGS="-I$lib/include" \
    BZIP2_LIBS="-L$lib -lbz2" LIBLZMA_CFLAGS="-I$lib/include" LIBLZMA_LIBS="-L$lib -llzma" LIBSQLITE3_CFLAGS="-I$lib/include" \
    LIBSQLITE3_LIBS="-L$lib -lsqlite3" "${@:3}" "../src/python$v/configure" --host="$host" --build=x86_64-linux-gnu \
    --with-build-python="$work/bin/python$v" --prefix=/usr --disable-test-modules --without-ensurepip --without-pymalloc --without-mimalloc \
    --disable-ipv6 --without-readline HOSTRUNNER=false >log 2>&1
  # What the prelude supplies, or has no use.
  sed -i -E 's/^(_socket|select|_ctypes|_uuid|_crypt|nis|ossaudiodev|_testexternalinspection) /#&/' Modules/Setup.stdlib
  sed -i 's|/\* #undef SIZEOF_PTHREAD_T \*/|#define SIZEOF_PTHREAD_T 4|' pyconfig.h
  make -j2 "libpython$v.a" >>log 2>&1 || { grep 'error:' log >&2; exit 1; }
  make $(sed -nE 's/^(LIBMPDEC_A|LIBEXPAT_A|LIBHACL_SHA2_A)= *//p' Makefile) >>log 2>&1
  : >ready
}

build_tree() { # version: the standard library, compiled, and the time zones
  local v=$1 t=$work/tree$1 data=_sysconfigdata__wasi_wasm32-wasi.py
  [ -f "$work/tree$v.bin" ] && return
  step "standard library $v"
  rm -rf "$t"
  cp -r "$work/src/python$v/Lib" "$t"
  cd "$t"
  rm -rf "${left_out[@]}"
  find . -type d \( -name test -o -name tests -o -name __pycache__ \) -prune -exec rm -rf {} +
  [ "$v" = 3.11 ] && data=_sysconfigdata__wasm32-wasi.py
  cat >$data <<EOF
build_time_vars = {
    "prefix": "/", "exec_prefix": "/", "BINDIR": "/bin", "LIBDIR": "/lib", "LIBDEST": "/lib/python$v", "INCLUDEPY": "/include/python$v",
    "VERSION": "$v", "EXT_SUFFIX": ".so", "SOABI": "cpython-${v/./}-wasm32-wasi", "TZPATH": "/usr/share/zoneinfo",
    "Py_DEBUG": 0, "WITH_PYMALLOC": 0,
}
EOF
  sed -i 's/from _hashlib import/from _aleph_hash import/' hashlib.py
  find . -type f ! -name '*.py' -delete
  "$work/bin/python$v" -I -m compileall -q -b -j1 --invalidation-mode unchecked-hash -s "$t" -p "/lib/python$v" "$t"
  find . -name '*.py' -delete
  rm -rf "$work/zones"
  cp -r "$work/deb/tzdata/usr/share/zoneinfo" "$work/zones"
  (cd "$work/zones" && rm -rf right posix posixrules localtime tzdata.zi leap-seconds.list leapseconds)
  "$work/bin/python3.11" "$here/tree.py" "$work/tree$v.bin" "/lib/python$v" "$t" /usr/share/zoneinfo "$work/zones"
}

link() { # version
  local v=$1 f o=$work/engine$1 lib=/usr/lib/wasm32-wasi b=$work/build$1
  rm -rf "$o"
  mkdir "$o"
  cp "$here"/*.{c,h,s} "$o/"
  cp "$work/tree$v.bin" "$o/tree.bin"
  cd "$o"
  for f in embed module event image hash heap files; do
    "$work/bin/cc" -O2 -DNDEBUG -std=gnu17 -fwrapv -fno-strict-aliasing -fno-builtin-malloc -Wall -Werror -Wno-unused-function -D_WASI_EMULATED_SIGNAL \
      -D_WASI_EMULATED_PROCESS_CLOCKS -D_WASI_EMULATED_GETPID -DSTDLIB="L\"/lib/python$v\"" -I"$work/src/python$v/Include" -I"$b" -c $f.c -o $f.o
  done
  "$work/bin/cc" -c tree.s -o tree.o
  wasm-ld-19 --stack-first -z stack-size=2097152 --no-entry --strip-all --gc-sections --export=__stack_pointer -o "$work/python$v.wasm" \
    $lib/crt1-reactor.o embed.o module.o event.o image.o hash.o heap.o files.o tree.o "$b/libpython$v.a" \
    $(cd "$b" && ls -d "$b"/Modules/{_decimal/libmpdec/libmpdec.a,expat/libexpat.a,_hacl/libHacl_Hash_SHA2.a} 2>/dev/null) \
    -L"$work/lib" -lz -lbz2 -llzma -lsqlite3 -L$lib -lwasi-emulated-signal -lwasi-emulated-getpid -lwasi-emulated-process-clocks -ldl -lm -lc \
    "$(clang-19 --target=wasm32-wasi -print-resource-dir)/lib/wasi/libclang_rt.builtins-wasm32.a"
  chmod 644 "$work/python$v.wasm"
  zstd -q -f -19 "$work/python$v.wasm" -o "$work/python$v.wasm.zst"
}

describe() {
  local name version sum v f
  while read -r name version sum; do printf '%-24s %s\n%-24s %s\n' "$name" "$version" "  sha256 of the .dsc" "$sum"; done < <(printf '%s\n' "${sources[@]}")
  while read -r name version sum; do printf '%-24s %s\n%-24s %s\n' "$name" "$version" "  sha256 of the .deb" "$sum"; done < <(printf '%s\n' "${binaries[@]}")
  for f in "${packages[@]:0:6}"; do printf '%-24s %s\n' "$f" "$(dpkg-query -W -f '${Version}' "$f")"; done
  for v in 3.11 3.13; do
    for f in python$v.wasm python$v.wasm.zst; do
      printf '%-24s %s bytes\n%-24s %s\n' "$f" "$(stat -c %s "$work/$f")" "  sha256" "$(sha256sum <"$work/$f" | cut -d' ' -f1)"
    done
  done
}

install_packages
fetch_sources
make_tools
build_libraries
# wasi-libc of Debian 12 declares no chmod and no statvfs; 3.13 wants a size where threads are stubs.
build_python 3.11 wasm32-unknown-wasi CFLAGS_NODIST=-Wno-int-conversion ac_cv_func_{chmod,fchmod,fchmodat,statvfs,fstatvfs}=no
build_python 3.13 wasm32-unknown-wasip1
different=
for v in 3.11 3.13; do
  build_tree $v
  link $v
  artifact=$here/../python$v.wasm.zst
  if [ "$commit" ]; then
    cp "$work/python$v.wasm.zst" "$artifact"
    echo "wrote python$v.wasm.zst: $(stat -c %s "$artifact") bytes"
  elif [ -f "$artifact" ] && zstd -q -d -c "$artifact" | cmp -s - "$work/python$v.wasm"; then
    echo "python$v: the build equals the committed artifact"
  else
    echo "python$v: the build DIFFERS from the committed artifact (build.sh --commit replaces it)" >&2
    different=1
  fi
done
if [ "$commit" ]; then
  describe >"$here/ENGINE.txt"
elif [ "$different" ]; then
  describe >&2
  exit 1
fi
