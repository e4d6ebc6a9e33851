#!/usr/bin/env bats
# What makes a release: its version, the transcripts, the files for CI services and the issue form.
# store: any

load ../helpers/common

setup() {
  isolate
  project=$(realpath "$BATS_TEST_DIRNAME/../..")
}

# copied FILE…: copies files of the project to the directory `copy`.
copied() {
  mkdir copy
  (cd "$project" && cp --parents -- "$@" "$OLDPWD/copy")
}

# versions: the version at each place that set_version changes.
versions() {
  sed -n 's/^## \[\(.*\)\] .*/\1/p;T;q' copy/CHANGELOG.md
  sed -n 's/^project(memolock VERSION \([^ ]*\).*/\1/p' copy/CMakeLists.txt
  yq_of copy/action.yml 'content["inputs"]["version"]["default"]'
  yq_of copy/examples/gitlab-memolock.yml 'content[".memolock"]["variables"]["MEMOLOCK_VERSION"]'
  sed -n 's/.*uses: memolock\/memolock@v//p' copy/examples/*.yml
}
yq_of() { /usr/bin/python3 -c 'import sys, yaml; content = yaml.safe_load(open(sys.argv[1])); print(eval(sys.argv[2]))' "$@"; }

@test "set_version sets the version everywhere, and its date" {
  mapfile -t examples < <(cd "$project" && ls examples/*.yml)
  copied packaging/set_version CHANGELOG.md CMakeLists.txt README.md action.yml "${examples[@]}"
  equal 1 "$(versions | uniq | wc -l)"
  cp -r copy before
  old=$(versions | uniq)
  copy/packaging/set_version 12.3.45 2026-12-01
  equal '12.3.45' "$(versions | uniq)"
  contains "$(<copy/CHANGELOG.md)" '## [12.3.45] - 2026-12-01'
  lacks "$(<copy/README.md)" 'No version has been released yet'
  # one line for each place, and no other, apart from the sentence in the README
  changes() { diff -r "$@" | grep -c '^>'; }
  equal "$(versions | wc -l)" "$(changes -x README.md before copy)"
  # another place that names the version would be missed
  equal '' "$(grep -rlF --exclude-dir=.git --exclude-dir=build --exclude-dir=examples --exclude=CHANGELOG.md --exclude=CMakeLists.txt \
    --exclude=action.yml -e "$old" "$project" | xargs -r grep -lE "(^|[^0-9.])${old//./\\.}([^0-9.]|$)")"
}

@test "set_version refuses what is not a version, and a changelog without an unreleased section" {
  copied packaging/set_version CHANGELOG.md
  cp -r copy before
  for version in '' 1.2 1.2.3.4 v1.2.3 01.2.3 1.2.3-rc1; do
    run -1 copy/packaging/set_version "$version"
    equal "set_version: '$version' is not a version X.Y.Z" "$output"
  done
  sed -i 's/unreleased/2026-01-01/' copy/CHANGELOG.md
  run -1 copy/packaging/set_version 1.2.3
  equal 'set_version: CHANGELOG.md has no unreleased section' "$output"
  diff -x CHANGELOG.md -r before copy
}

# bats test_tags=slow
@test "the transcripts of the README are what the program prints" {
  ((EUID == 0)) || skip 'needs root, for the names of hosts'
  copied README.md
  sed -i 's/^    memolock: .*/    old output/' copy/README.md
  "$project/packaging/transcripts" "$MEMOLOCK_BIN" copy/README.md
  for readme in copy "$project"; do
    # without times, process ids and the name of this host
    sed -E 's/[A-Z][a-z]{2} [A-Z][a-z]{2} +[0-9]+ [0-9:]+ [A-Z]+ [0-9]+/DATE/; s/[0-9.]+m?s( old|$|, status|, took)/TIME\1/g; s/for [^ ]*:[0-9]+/for HOST/; s/took [0-9.]+m?s/took TIME/' \
      "$readme/README.md" >"$(basename "$readme").md"
  done
  diff "$(basename "$project").md" copy.md
}

@test "the workflows, the issue form and the action are well-formed, and call what exists and is documented" {
  /usr/bin/python3 "$project/tests/helpers/check_ci.py"
}
