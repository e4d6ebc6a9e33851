#!/usr/bin/env bats
# The packages in $PACKAGES, and those of a second build in $AGAIN, in the minimal systems in $ROOTS: `./dev package
# --check`, as root.
# store: none

bats_require_minimum_version 1.5.0

load ../helpers/common
load ../helpers/http

setup_file() { :; }

setup() { isolate; }

teardown() { end_all; }

# debs [ARCHITECTURE]: prints the paths of the .debs, or of those for one architecture.
debs() { compgen -G "$PACKAGES/*${1-}.deb"; }

# suite_of DEB: prints the suite that it is for.
suite_of() {
  case $1 in
    *-debian12-*) echo bookworm ;;
    *-debian13-*) echo trixie ;;
    *) fail "$1: for another suite" ;;
  esac
}

# native: prints the path of the tar.gz for this architecture.
native() { compgen -G "$PACKAGES/*-$(uname -m).tar.gz"; }

# needs_native: skips the test if the packages are for another architecture only.
needs_native() { native >/dev/null || skip "no packages for $(uname -m)"; }

# new_root SUITE: makes $root a copy of the minimal system of that suite.
new_root() {
  root=$BATS_TEST_TMPDIR/root
  rm -rf --one-file-system -- "$root"
  cp -a --reflink=auto "$ROOTS/$1" "$root"
  cp -L /etc/resolv.conf "$root/etc/resolv.conf"
}

# in_root WORD…: runs it with $root as the root directory.
in_root() { "$BATS_TEST_DIRNAME/../helpers/in_root" "$root" "$@"; }

installs() { in_root apt-get -qq update && in_root apt-get -qq -y --no-install-recommends install "$@"; }

# in_empty WORD…: the same without mounts.
in_empty() { env -i PATH=/usr/sbin:/usr/bin:/bin HOME=/root LC_ALL=C chroot "$root" "$@"; }

# outcomes FILE: the outcomes of the calls in this report.
outcomes() { grep -o '"outcome":"[a-z]*"' "$1" | cut -d '"' -f 4 | paste -sd ' '; }

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

# unpack TARBALL: makes a $root with nothing but its contents, a home directory and /tmp.
unpack() {
  root=$BATS_TEST_TMPDIR/root
  rm -rf --one-file-system -- "$root"
  mkdir -p "$root/root" "$root/tmp"
  tar -xzf "$1" --strip-components=1 -C "$root"
}

@test "the suite's own lintian reports nothing about any .deb" {
  for suite in $(for deb in $(debs); do suite_of "$deb"; done | sort -u); do
    new_root "$suite"
    installs lintian
    for deb in $(debs); do
      [[ $(suite_of "$deb") == "$suite" ]] || continue
      cp "$deb" "$root"
      run in_root lintian --allow-root --tag-display-limit 0 --fail-on error,warning "/${deb##*/}"
      equal "${deb##*/}: " "${deb##*/}: $(grep -v '^N:' <<<"$output")"
      equal 0 "$status"
    done
  done
}

@test "the binary of a .deb is hardened: PIE, immediate binding, read-only relocations, canaries, fortified calls" {
  for deb in $(debs); do
    dpkg-deb -x "$deb" "${deb##*/}"
    readelf -hdlW "${deb##*/}/usr/bin/memolock" >elf
    readelf -sW --dyn-syms "${deb##*/}/usr/bin/memolock" >symbols
    grep -q 'Type: *DYN' elf
    grep -q 'GNU_RELRO' elf
    grep -q 'NOW' elf
    grep -q '__stack_chk_fail' symbols
    grep -q '__[a-z]*_chk@' symbols
    lacks "$(<elf)" 'RUNPATH'
  done
}

@test "the version of a .deb for a later release of Debian is higher, and that without a suffix is the highest" {
  versions=$(for deb in $(debs); do dpkg-deb -f "$deb" Version; done | sort -u)
  for version in $versions; do
    [[ $version =~ ^$(project_version)~deb1[23]$ ]] || fail "$version"
    dpkg --compare-versions "$version" lt "$(project_version)"
  done
  dpkg --compare-versions "$(project_version)~deb12" lt "$(project_version)~deb13"
}

@test "the names of packages contain no character that GitHub replaces" {
  for package in "$PACKAGES"/*; do [[ ${package##*/} =~ ^[A-Za-z0-9._-]+$ ]] || fail "$package"; done
}

@test "files and directories in a tar.gz have the usual modes and belong to root, and its order is that of the names" {
  for tarball in "$PACKAGES"/*.tar.gz; do
    tar --numeric-owner -tvzf "$tarball" >list
    equal "$(printf '%s\n' '-rw-r--r-- 0/0' '-rwxr-xr-x 0/0' 'drwxr-xr-x 0/0')" "$(awk '{ print $1, $2 }' list | LC_ALL=C sort -u)"
    equal 1 "$(awk '{ print $4, $5 }' list | sort -u | wc -l)"
    tar -tzf "$tarball" >names
    tr / '\001' <names | LC_ALL=C sort | tr '\001' / >sorted
    diff sorted names
  done
}

# What smoke.bats calls.
tools=redis-tools,openssl,bats,procps,bsdutils,iproute2,findutils,gawk

# carried DEB [TARBALL]: makes the directory `carried`, which contains what tests/packages/try needs, and sets $try to its
# command line there.
carried() {
  rm -rf carried
  mkdir -p carried/tests
  cp -r "$BATS_TEST_DIRNAME" "$BATS_TEST_DIRNAME/../helpers" carried/tests
  cp "$1" carried/memolock.deb
  try="tests/packages/try ./memolock.deb $(project_version)"
  [[ -n ${2-} ]] || return 0
  cp "$2" carried/memolock.tar.gz
  try+=' memolock.tar.gz'
}

@test "each package for this architecture does what smoke.bats says, and a .deb leaves nothing behind" {
  needs_native
  tarball=$(native)
  tried=0
  for deb in $(debs "$(dpkg --print-architecture)"); do
    new_root "$(suite_of "$deb")"
    carried "$deb" "$tarball"
    cp -r carried "$root/tests"
    in_root apt-get -qq update
    # first, apt-get installs the dependencies
    in_root apt-get -qq -y --no-install-recommends install /tests/memolock.deb
    in_root dpkg -P memolock
    in_root apt-get -qq -y --no-install-recommends install ${tools//,/ }
    in_root sh -c "cd /tests && $try"
    tarball='' tried=$((tried + 1)) # the static program is the same for all suites
  done
  ((tried > 0)) || fail 'no .deb'
}

@test "each package for arm64 does the same in an emulated Debian" {
  local tarball depends suite
  tarball=$(compgen -G "$PACKAGES/*-aarch64.tar.gz") || skip 'no packages for arm64'
  [[ $(uname -m) != aarch64 ]] || skip 'this is arm64'
  tried=0
  for deb in $(debs arm64); do
    suite=$(suite_of "$deb")
    carried "$deb" "$tarball"
    depends=$(dpkg-deb -f "$deb" Depends | sed 's/ *([^)]*)//g; s/ *|[^,]*//g; s/ //g')
    "$BATS_TEST_DIRNAME/emulate" "$suite" "$tools,$depends" "$ROOTS/$suite.emulated" carried "$try"
    tarball='' tried=$((tried + 1))
  done
  ((tried > 0)) || fail 'no .deb'
}

@test "the static program works in a root directory with a home directory, /tmp and no other files" {
  needs_native
  unpack "$(native)"
  equal "memolock $(project_version)" "$(in_empty /bin/memolock --version)"
  for _ in 1 2; do
    equal "memolock $(project_version)" \
      "$(in_empty /bin/memolock get --id x --ttl 1h --report /report -- /bin/memolock --version)"
  done
  equal 'miss hit' "$(outcomes "$root/report")"
}

@test "the static program shares runs through a server from there" {
  needs_native
  unpack "$(native)"
  start_redis
  store=redis://127.0.0.1:$REDIS_PORT
  for _ in 1 2; do
    in_empty /bin/memolock get --store "$store" --id x --ttl 1h --report /report -- /bin/memolock key --id y
  done
  equal 'miss hit' "$(outcomes "$root/report")"
  equal y "$(redis get default:x)"
}

@test "all packages contain every page of the manual, and the examples to which the README refers" {
  for deb in $(debs); do
    dpkg-deb -x "$deb" "${deb##*/}"
    has_pages "$PWD/${deb##*/}/usr/share/man"
    diff -r "$BATS_TEST_DIRNAME/../../examples" "${deb##*/}/usr/share/doc/memolock/examples"
  done
  for tarball in "$PACKAGES"/*.tar.gz; do
    unpack "$tarball"
    has_pages "$root/share/man"
    diff -r "$BATS_TEST_DIRNAME/../../examples" "$root/share/doc/memolock/examples"
  done
}

@test "a tar.gz contains the license of every library in its program" {
  for tarball in "$PACKAGES"/*.tar.gz; do
    unpack "$tarball"
    for library in libarchive libc6 libc-ares libcli11 libfmt libhiredis libsodium libssl libstdc++ libtomlplusplus \
      libxxhash libzstd nlohmann-json3; do
      compgen -G "$root/share/doc/memolock/licenses/$library*-dev*" >/dev/null || fail "$tarball: no license of $library"
    done
    # not the C library of a package for cross compilers, which gets no security updates
    [[ -e $root/share/doc/memolock/licenses/libc6-dev ]] || fail "$tarball: another C library"
  done
}

@test "SHA256SUMS contains the checksum of each package, and they are correct" {
  cd "$PACKAGES" || return
  sha256sum --check --strict -- SHA256SUMS
  equal "$(ls -- *.deb *.tar.gz)" "$(awk '{ print $2 }' SHA256SUMS | sort)"
  equal "$(ls)" "$(ls -- *.deb *.tar.gz SHA256SUMS)"
}

@test "a second build in another directory, time zone, locale and umask, without a compiler cache, produces identical packages" {
  for package in "$PACKAGES"/*; do same_bytes "$package" "$AGAIN/${package##*/}"; done
}

@test "the action and the GitLab template install the tar.gz" {
  needs_native
  unpack "$(native)"
  cp -rL "$PACKAGES" served-packages
  serves_releases served-packages
  mkdir -p project/src
  printf '#!/bin/sh\nmkdir -p out && memolock --version >out/app\n' >project/build.sh
  printf '#!/bin/sh\ncat out/app\ncp "$(command -v memolock)" ../installed\n' >project/test.sh
  chmod +x project/*.sh
  for example in github-actions.yml gitlab-ci.yml; do
    mkdir -p "$example/home"
    cp -r project "$example/checkout"
    /usr/bin/python3 "$BATS_TEST_DIRNAME/../helpers/ci_job.py" "$BATS_TEST_DIRNAME/../../examples/$example" 1 >"$example/job.sh"
    run --separate-stderr env HOME="$PWD/$example/home" MEMOLOCK_STORE= sh -c "cd $example/checkout && exec bash ../job.sh"
    equal 0 "$status"
    contains "$output" "memolock $(project_version)"
    same_bytes "$root/bin/memolock" "$example/installed"
  done
}
