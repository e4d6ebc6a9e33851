#!/usr/bin/env bats
# The packages in $PACKAGES, each in a copy of the minimal Debian 12 in $EMPTY_ROOT: `./dev package --check`, as root.
# store: none

bats_require_minimum_version 1.5.0

load ../helpers/common

setup_file() { :; }

setup() { isolate; }

# in_root WORD…: runs it with $root as the root directory and a minimal environment.
in_root() { env -i ${http_proxy:+http_proxy="$http_proxy"} PATH=/usr/bin:/bin:/usr/sbin:/sbin HOME=/root LC_ALL=C chroot "$root" "$@"; }

# outcomes FILE: the outcomes of the calls in this report.
outcomes() { grep -o '"outcome":"[a-z]*"' "$1" | cut -d '"' -f 4 | paste -sd ' '; }

# version: the version in the name of the .deb.
version() { basename "$PACKAGES"/*.deb | cut -d _ -f 2; }

# has_pages DIRECTORY: asserts that it contains exactly the pages of man/, compressed or not.
has_pages() {
  local page name file
  (cd "$BATS_TEST_DIRNAME/../../man" && find . -name '*.[157]' -printf 'man%f\n') | sed -E 's|^man(.*)\.(.)$|man\2/\1.\2|' | sort >expected
  (cd "$1" && find . -type f -printf '%P\n') | sed 's/\.gz$//' | sort >found
  diff expected found || fail "the pages differ" || return
  while read -r page; do
    name=${page#*/} file=$1/$page
    if [[ -e $file.gz ]]; then gzip -dc "$file.gz" >"$name" && file=$name; fi
    same_bytes "$BATS_TEST_DIRNAME/../../man/$name" "$file" || return
  done <expected
}

# unpack: makes a $root with nothing but the contents of the tar.gz.
unpack() {
  root=$BATS_TEST_TMPDIR/root
  mkdir -p "$root"
  tar -xzf "$PACKAGES"/*.tar.gz --strip-components=1 -C "$root"
}

@test "lintian reports nothing for the .deb" {
  run lintian --allow-root --tag-display-limit 0 --fail-on error,warning "$PACKAGES"/*.deb
  equal '' "$(grep -v '^N:' <<<"$output")"
  equal 0 "$status"
}

@test "the binary of the .deb is hardened: PIE, immediate binding, read-only relocations, canaries, fortified calls" {
  dpkg-deb -x "$PACKAGES"/*.deb unpacked
  readelf -hdlW unpacked/usr/bin/memolock >elf
  readelf -sW --dyn-syms unpacked/usr/bin/memolock >symbols
  grep -q 'Type: *DYN' elf
  grep -q 'GNU_RELRO' elf
  grep -q 'NOW' elf
  grep -q '__stack_chk_fail' symbols
  grep -q '__[a-z]*_chk@' symbols
  lacks "$(<elf)" 'RUNPATH'
}

@test "the .deb installs in a minimal Debian 12, works there, and leaves nothing behind" {
  root=$BATS_TEST_TMPDIR/root
  cp -a --reflink=auto "$EMPTY_ROOT" "$root"
  cp "$PACKAGES"/*.deb "$root/memolock.deb"
  in_root apt-get -qq update
  in_root apt-get -qq -y --no-install-recommends install /memolock.deb
  for path in bin/memolock bin/memolock-sh share/memolock/memolock.sh share/doc/memolock/copyright \
    share/doc/memolock/changelog.gz share/bash-completion/completions/memolock \
    share/zsh/vendor-completions/_memolock share/fish/vendor_completions.d/memolock.fish; do
    [[ -f $root/usr/$path ]] || fail "no /usr/$path"
  done
  equal "memolock $(version)" "$(in_root memolock --version)"
  for _ in 1 2; do
    equal made "$(in_root memolock get --id x --ttl 1h --report /report -- sh -c 'echo ran >>/runs; echo made')"
  done
  equal ran "$(<"$root/runs")"
  equal 'miss hit' "$(outcomes "$root/report")"
  in_root apt-get -qq -y purge memolock
  equal '' "$(find "$root/usr" "$root/etc" -iname '*memolock*')"
}

@test "the static binary of the tar.gz works in a root directory without other files" {
  unpack
  equal "memolock $(version)" "$(in_root /bin/memolock --version)"
  for _ in 1 2; do
    equal "memolock $(version)" \
      "$(in_root /bin/memolock get --id x --ttl 1h --report /report -- /bin/memolock --version)"
  done
  equal 'miss hit' "$(outcomes "$root/report")"
}

@test "the static binary shares runs through a server from there" {
  unpack
  start_redis
  store=redis://127.0.0.1:$REDIS_PORT
  for _ in 1 2; do
    in_root /bin/memolock get --store "$store" --id x --ttl 1h --report /report -- /bin/memolock key --id y
  done
  equal 'miss hit' "$(outcomes "$root/report")"
  equal y "$(redis get default:x)"
}

@test "both packages contain every page of the manual" {
  dpkg-deb -x "$PACKAGES"/*.deb unpacked
  unpack
  has_pages "$PWD/unpacked/usr/share/man"
  has_pages "$root/share/man"
}

@test "the tar.gz contains the license of every library in its binary" {
  unpack
  for library in libarchive libc6 libc-ares libcli11 libfmt libhiredis libsodium libssl libstdc++ libtomlplusplus \
    libxxhash libzstd nlohmann-json3; do
    compgen -G "$root/share/doc/memolock/licenses/$library*-dev" >/dev/null || fail "no license of $library"
  done
}

@test "the checksums of the packages are correct" {
  cd "$PACKAGES" || return
  sha256sum --check --strict -- *.sha256
  equal 2 "$(find . -maxdepth 1 -name '*.sha256' | wc -l)"
}

@test "a second build produces identical packages" {
  cd "$PACKAGES" || return
  for package in *.deb *.tar.gz; do same_bytes "$package" "again/$package"; done
}
