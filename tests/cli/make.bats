#!/usr/bin/env bats
# memolock-sh as the shell of make and of other programs.

load ../helpers/common

setup() {
  isolate
  use_store
  unset MAKEFLAGS MAKELEVEL MFLAGS
  put_on_path "$BATS_TEST_DIRNAME/../../cli/memolock-sh"
  mkdir work
  cd work || return
}

# makefile: makes a Makefile from stdin that memoizes the recipe of report.csv, with the options in $(KEYS).
makefile() {
  {
    echo 'report.csv: private SHELL := memolock-sh'
    echo 'report.csv: private .SHELLFLAGS = --ttl 1h --artifact $@ $(KEYS) -- -ec'
    cat
  } >Makefile
}

# a_report: makes a Makefile whose recipe is counted.
a_report() {
  echo one >in
  makefile <<'END'
report.csv: KEYS = $(addprefix --key-file ,$^)
report.csv: in
	@echo making; counted sed 's/^/the /' in >$@
END
}

@test "a recipe runs once, and its restored target is up to date for make" {
  a_report
  run -0 --separate-stderr make
  equal making "$output"
  equal '' "$stderr"
  equal 'the one' "$(<report.csv)"
  rm report.csv
  run -0 --separate-stderr make
  equal making "$output"
  equal 'the one' "$(<report.csv)"
  ran_times 1
  run -0 make
  contains "$output" 'up to date'
  touch_after in report.csv
  run -0 make
  equal making "$output"
  ran_times 1
  run -0 make
  contains "$output" 'up to date'
}

@test "a change in a --key-file runs the recipe again" {
  a_report
  make
  echo two >in
  rm report.csv
  make
  ran_times 2
  equal 'the two' "$(<report.csv)"
  echo one >in
  rm report.csv
  make
  ran_times 2
  equal 'the one' "$(<report.csv)"
}

@test "a different line, directory or shell makes a different entry" {
  a_report
  make
  mkdir ../other
  cp Makefile in ../other
  make -C ../other
  ran_times 2
  sed -i 's/the /a /' Makefile
  rm report.csv
  make
  ran_times 3
  rm report.csv
  MEMOLOCK_SHELL=bash make
  ran_times 4
}

@test "two concurrent makes share one run" {
  echo one >in
  makefile <<'END'
report.csv: in
	held go counted cp in $@
END
  spawn make
  await test -e go.started
  MEMOLOCK_LOG=info spawn make 2>errors
  await began_to_wait 1 errors
  release go
  finish_all
  ran_times 1
}

@test "with private the shell does not apply to the prerequisites of a target" {
  makefile <<'END'
report.csv: in
	counted cp in $@
in:
	counted sh -c 'echo "$$0" >$@' one
END
  make
  ran_times 2
  rm report.csv in
  make
  ran_times 3
}

@test "each line of a recipe is a step of its own" {
  makefile <<'END'
report.csv:
	@counted sh -c 'echo 1 >$@'
	@counted sh -c 'echo 2 >>$@'
END
  make
  equal 2 "$(memolock ls | wc -l)"
  rm report.csv
  make
  ran_times 2
  equal $'1\n2' "$(<report.csv)"
}

@test "with .ONESHELL a recipe is one step, without the prefixes of its lines" {
  makefile <<'END'
.ONESHELL:
report.csv:
	@x=1
	  @counted printf '%s\n' "$$x" \
	-y >$@
	-+printf '%s\n' "\\
	@z" >>$@
END
  run -0 --separate-stderr make
  equal '' "$output$stderr"
  equal 1 "$(memolock ls | wc -l)"
  cp report.csv memoized
  rm report.csv
  make
  ran_times 1
  same_bytes memoized report.csv
  # as make does for a shell that it knows
  rm report.csv
  sed -i /private/d Makefile
  make
  same_bytes memoized report.csv
}

@test "with .ONESHELL a shell that make does not know gets its lines unchanged" {
  ln -s "$(command -v bash)" ../bin/mybash
  makefile <<'END'
.ONESHELL:
report.csv:
	@cat >$@ <<-X
		@a
	- b
	X
END
  MEMOLOCK_SHELL=mybash make
  equal $'@a\n- b' "$(<report.csv)"
}

@test "MEMOLOCK_SHELL sets the shell: bash with pipefail" {
  makefile <<'END'
report.csv: private .SHELLFLAGS = --ttl 1h --artifact $@ -- -euo pipefail -c
report.csv:
	@false | counted tee $@; echo not reached
END
  export MEMOLOCK_SHELL
  MEMOLOCK_SHELL=$(command -v bash)
  run -2 --separate-stderr make
  equal '' "$output"
  contains "$stderr" 'Error 1'
  equal '' "$(memolock ls)"
}

@test "a failed line fails make with its status and is not stored; -k and -i continue" {
  makefile <<'END'
all: report.csv other
other:
	@echo other
report.csv:
	@counted sh -c 'exit 3'; echo not reached
	@echo next
END
  run -2 --separate-stderr make all
  contains "$stderr" 'Error 3'
  equal '' "$output"
  run -2 --separate-stderr make -k all
  equal other "$output"
  run -0 --separate-stderr make -i all
  contains "$output" next
  contains "$output" other
  contains "$stderr" 'Error 3 (ignored)'
  ran_times 3
}

@test "-n runs nothing, and the output of nested makes under -n, -t and -q is not stored" {
  makefile <<'END'
report.csv:
	@+$(MAKE) -f below $@
END
  printf 'report.csv:\n\tcounted cp below $@\n' >below
  run -0 make -n
  contains "$output" 'counted cp'
  ran_times 0
  store_is_empty
  for flag in -t -q; do
    run -0 sh -c 'make "$0" || [ $? = 1 ]' $flag
    store_is_empty
  done
  rm -f report.csv
  make
  ran_times 1
  equal 1 "$(memolock ls | wc -l)"
}

@test "make -j: nested makes in a memoized line share its job slots" {
  makefile <<'END'
report.csv:
	@+$(MAKE) -f below && counted touch $@
END
  printf 'all: a b\na b:\n\t@held $@ true\n' >below
  spawn make -j2 2>errors
  await test -e a.started
  await test -e b.started
  release a
  release b
  finish_all
  is_empty errors
  rm report.csv
  make -j2 2>errors
  is_empty errors
  ran_times 1
}

@test "a line without a target to store is not memoized, with one warning" {
  printf '%s\n' 'SHELL := memolock-sh' '.SHELLFLAGS = --ttl 1h $(O) -- -ec' 'x:' $'\t@counted echo hi' >Makefile
  for _ in 1 2; do
    run -0 --separate-stderr make
    equal hi "$output"
    one_own_line "$stderr"
    contains "$stderr" '--artifact'
  done
  ran_times 2
  store_is_untouched
  run -0 --separate-stderr env MEMOLOCK_LOG=quiet make
  equal '' "$stderr"
  run -0 --separate-stderr make O=-q
  equal '' "$stderr"
  ran_times 4
}

@test "--output-only memoizes a line that creates no target" {
  printf '%s\n' 'SHELL := memolock-sh' '.SHELLFLAGS = --ttl 1h --output-only -- -ec' 'x:' $'\t@counted echo hi' >Makefile
  for _ in 1 2; do
    run -0 --separate-stderr make
    equal hi "$output$stderr"
  done
  ran_times 1
}

@test "MEMOLOCK_OUTPUT_ONLY accepts the same words as the variables of other flags" {
  for word in 0 false No OFF ''; do
    MEMOLOCK_OUTPUT_ONLY=$word MAKELEVEL=1 run -0 --separate-stderr memolock-sh --ttl 1h -- -ec 'counted echo shell'
    equal shell "$output"
    contains "$stderr" 'is not memoized'
  done
  ran_times 5
  for word in 1 true Yes ON; do
    MEMOLOCK_OUTPUT_ONLY=$word MAKELEVEL=1 run -0 --separate-stderr memolock-sh --ttl 1h -- -ec 'counted echo shell'
    equal shell "$output$stderr"
  done
  ran_times 6
  MEMOLOCK_OUTPUT_ONLY=2 MAKELEVEL=1 refused 'MEMOLOCK_OUTPUT_ONLY is not a boolean' memolock-sh --ttl 1h -- -ec 'counted true'
  # which the plain shell does not read
  MEMOLOCK_OUTPUT_ONLY=2 MAKELEVEL=1 memolock-sh -ec 'counted true'
  ran_times 7
}

@test "an --artifact without a name, as make expands it outside of recipes, is ignored" {
  for _ in 1 2; do equal shell "$(memolock-sh --ttl 1h --artifact -- -ec 'counted echo shell')"; done
  ran_times 1
  # GNU make 4.4 sets the environment of recipes there too; a recipe with an empty file name would only be replayed
  for option in --artifact --artifact=; do
    MAKELEVEL=1 run -0 --separate-stderr memolock-sh --ttl 1h "$option" -- -ec 'counted echo shell'
    equal shell "$output"
    one_own_line "$stderr"
    contains "$stderr" '$(if $@,--artifact $@,--output-only)'
  done
  ran_times 3
}

@test "\$(if \$@,--artifact \$@,--output-only) memoizes \$(shell) and recipes with every make" {
  printf '%s\n' 'SHELL := memolock-sh' '.SHELLFLAGS = --ttl 1h $(if $@,--artifact $@,--output-only) -- -ec' \
    'X := $(shell counted echo shell)' 'x:' $'\t@counted sh -c "echo $(X) >$@"' >Makefile
  for _ in 1 2; do
    run -0 --separate-stderr make
    equal '' "$output$stderr"
    equal shell "$(<x)"
    rm x
  done
  ran_times 2
}

# as_shell SHELL: what this shell does with arguments of each kind.
as_shell() {
  "$1" -c 'echo "$0,$*"' -- --ttl x
  "$1" -ec 'false; echo not reached' || echo "$?"
  "$1" -c 'exit 7' || echo "$?"
  "$1" -c 'kill -TERM $$' || echo "$?"
  "$1" -s a <<<'echo "$1"'
  "$1" <<<'echo in'
  "$1" -e -- ./script a
  "$1" -- ./script --ttl 1h -- b
  "$1" ./script --ttl 1h -- b
  "$1" --posix -c 'echo posix' -- c || echo "$?"
  "$1" ./absent || echo "$?"
  env -i PATH="$PATH" word=1 line=2 name=3 ${MEMOLOCK_SHELL+MEMOLOCK_SHELL="$MEMOLOCK_SHELL"} "$1" -c env | grep -v '^_=' | sort
}

@test "without a ttl, memolock-sh behaves as the plain shell, with its flags and variables" {
  echo 'echo "$0 $*"' >script
  as_shell /bin/sh >expected 2>errors
  as_shell memolock-sh >got 2>errors
  same_bytes expected got
  for shell in dash bash; do
    MEMOLOCK_SHELL=$(command -v $shell)
    export MEMOLOCK_SHELL
    as_shell "$MEMOLOCK_SHELL" >expected 2>errors
    as_shell memolock-sh >got 2>errors
    same_bytes expected got
  done
  store_is_untouched
}

@test "without a ttl, the options of memolock are removed" {
  equal hi "$(memolock-sh -v --tag t --artifact x --output-only -- -ec 'echo hi')"
  equal hi "$(MAKELEVEL=1 memolock-sh --artifact= -- -ec 'echo hi')"
  store_is_untouched
}

@test "without a ttl, memolock-sh works as make's shell for recipes and for \$(shell)" {
  printf '%s\n' 'SHELL := memolock-sh' 'X := $(shell counted echo shell)' 'x:' $'\t@counted echo $(X)' >Makefile
  for _ in 1 2; do
    run -0 --separate-stderr make
    equal shell "$output$stderr"
  done
  ran_times 4
  store_is_untouched
}

@test "memolock-sh can be the interpreter of scripts" {
  printf '%s\n' "#!$(command -v memolock-sh)" 'echo "$0 $1"' >script
  printf '%s\n' '#!/usr/bin/env -S memolock-sh --ttl 1h --' 'counted echo "$1"' >memoized
  chmod +x script memoized
  equal './script a' "$(./script a)"
  store_is_untouched
  for _ in 1 2; do
    equal a "$(./memoized a)"
    equal 'b c' "$(./memoized 'b c')"
  done
  ran_times 2
}

@test "MEMOLOCK_TTL is enough, as for SHELL in a crontab; a shell that reads its script from stdin is not memoized" {
  export MEMOLOCK_TTL=1h
  for _ in 1 2; do equal hi "$(memolock-sh -c 'counted echo hi')"; done
  ran_times 1
  for _ in 1 2; do equal 'hi a' "$(memolock-sh -s a <<<'counted echo hi "$1"')"; done
  for _ in 1 2; do equal hi "$(memolock-sh <<<'counted echo hi')"; done
  ran_times 5
}

@test "the line gets stdin" {
  equal in "$(memolock-sh --ttl 1h -- -c cat <<<in)"
}

@test "memolock-sh exits by the signal that killed the line" {
  run -143 memolock-sh --ttl 1h -- -c 'kill -TERM $$'
}

@test "a make that is interrupted leaves no command, target or run behind" {
  makefile <<'END'
report.csv:
	@echo part >$@; held go true
END
  spawn make
  await test -e go.started
  kill -TERM $!
  finish $!
  ((status != 0))
  [[ ! -e report.csv ]]
  await store_is_clean
  equal '' "$(memolock ls)"
}

@test "without memolock the line runs unmemoized, with one warning" {
  local name
  a_report
  mkdir ../bare
  for name in memolock-sh make sh sed; do ln -s "$(command -v $name)" ../bare; done
  run -0 --separate-stderr env PATH="$(realpath ../bare):$BATS_TEST_DIRNAME/../helpers/bin" make
  equal making "$output"
  one_own_line "$stderr"
  equal 'the one' "$(<report.csv)"
  store_is_untouched
}

@test "unsupported arguments are refused" {
  refused "'--' is required" memolock-sh --ttl 1h -c 'echo hi'
  refused "'--' is required" memolock-sh --artifact x y -- -c 'echo hi'
  refused "'--' is required" memolock-sh --output-only -c 'echo hi' -- x
  refused '--ttl' memolock-sh --ttl soon -- -c 'echo hi'
  refused '--ttl' memolock-sh --ttl -1 -- -c 'echo hi'
}

@test "MEMOLOCK_SHELL must not be memolock-sh itself, under any name" {
  rm ../bin/memolock-sh
  cp "$BATS_TEST_DIRNAME/../../cli/memolock-sh" ../bin
  ln -s ../bin/memolock-sh link
  ln ../bin/memolock-sh ../bin/hard
  ln -s hard ../bin/named
  for name in memolock-sh "$PWD/../bin/memolock-sh" "$PWD/link" ./link hard named; do
    for options in '' '--ttl 1h --'; do
      # shellcheck disable=SC2086
      refused 'MEMOLOCK_SHELL' timeout 60 env MEMOLOCK_SHELL="$name" memolock-sh $options -c 'echo hi'
    done
  done
  store_is_untouched
}

@test "the value of an option can begin with a dash" {
  for _ in 1 2; do equal hi "$(memolock-sh --ttl 1h --id -x --tag=-t -- -c 'counted echo hi')"; done
  ran_times 1
  equal '-t -x' "$(memolock ls | cut -f 1,2 | tr '\t' ' ')"
  for _ in 1 2; do equal 1 "$(memolock-sh --tag --ttl --ttl 1h --artifact -out -- -ec 'counted echo 1 | tee ./-out')"; done
  ran_times 2
  equal '--ttl' "$(memolock ls | cut -f 1 | grep ttl)"
  # and without a ttl they are removed too
  equal bye "$(memolock-sh --id -x -- -c 'echo bye')"
}

@test "memolock-sh knows for each option of get whether it takes a value" {
  memolock get --help | sed -nE '/^ +(-.,)?--ttl/d; s/^ +(-.,)?(--[a-z-]+)( ([^ ]+))?( .*|$)/\2 \4/p' >options
  (($(wc -l <options) > 30))
  export MEMOLOCK_SHELL=echo
  while read -r option value; do
    # otherwise the shell's arguments begin with -c, and "--" is one of them
    expected=of-the-shell
    [[ -n $value ]] || expected="$option -c -- of-the-shell"
    equal "$expected" "$(memolock-sh "$option" -c -- of-the-shell)"
  done <options
}

@test "memolock-sh changes no variable that the command sees" {
  local bare=(env -i PATH="$PATH" HOME="$HOME" word=1 line=2 name=3)
  seen() { grep -v -e '^MEMOLOCK_RUN' -e '^MEMOLOCK_CONTROL' -e '^MEMOLOCK_HELD' | sort; }
  "${bare[@]}" memolock get --store local --ttl 1h -- /bin/sh -ec 'env # 1' | seen >expected
  "${bare[@]}" memolock-sh --store local --ttl 1h -- -ec 'env # 2' | seen >got
  same_bytes expected got
}

@test "memolock-sh costs one start of the shell and no fork" {
  memolock-sh --ttl 1h -- -c true
  strace -f -o trace -e trace=execve,clone,clone3,fork,vfork memolock-sh --ttl 1h -- -c true
  equal 2 "$(grep -c 'execve(.* = 0$' trace)"
  equal 0 "$(grep -cE '(clone3?|v?fork)\(' trace)"
}

@test "the report of the example is created once for the same inputs" {
  cp -r "$BATS_TEST_DIRNAME"/../../examples/{Makefile,summarize,orders.csv} .
  sed -i 's,^#!/bin/sh$,&\ncounted true,' summarize
  make report.csv
  equal $'ada,8\nbob,4' "$(<report.csv)"
  make clean report.csv
  equal $'ada,8\nbob,4' "$(<report.csv)"
  ran_times 1
  echo eve,1 >>orders.csv
  touch_after orders.csv report.csv
  make report.csv
  equal $'ada,8\nbob,4\neve,1' "$(<report.csv)"
  ran_times 2
}
