#!/usr/bin/env bash
# A step that fails names the tests that failed: failing_tests of scripts/steps.sh, on what
# prove and ctest print now, and on samples of what the others print.
. "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib.sh"
. "$root/scripts/steps.sh"

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
status=0

# names WHAT EXPECTED: of what comes in.
names() {
    local got
    got=$(failing_tests)
    [ "$got" = "$2" ] || { printf '%s: these are named:\n%s\nrather than:\n%s\n' "$1" "$got" "$2"; status=1; }
}

cat >good.t <<'END'
use Test::More;
ok(1, 'good');
{ local $TODO = 'later'; ok(0, 'not yet'); }
done_testing();
END
cat >bad.t <<'END'
use Test::More;
ok(1, 'good');
is(1, 2, 'a promise');
ok(0);
done_testing();
END
cat >dies.t <<'END'
use Test::More;
ok(1, 'good');
die 'gone';
END
mkdir deep
cp bad.t deep/other.t
names TAP "$(printf '%s\n' "bad.t line 3: 'a promise'" 'bad.t line 4' "other.t line 3: 'a promise'" 'other.t line 4' \
    'dies.t ended early: No plan found in TAP output')" < <(prove --timer bad.t good.t deep/other.t dies.t 2>&1)

cat >CMakeLists.txt <<'END'
cmake_minimum_required(VERSION 3.16)
project(names LANGUAGES NONE)
enable_testing()
add_test(NAME Good.One COMMAND true)
add_test(NAME Bad.One COMMAND false)
END
cmake -S . -B build >/dev/null
names ctest 'Bad.One (Failed)' < <(ctest --test-dir build 2>&1)
names 'ctest --repeat' 'Bad.One (Failed)' < <(ctest --test-dir build --repeat until-fail:3 2>&1)

names 'pg_regress up to 15' 'bounds' <<'END'
test type                         ... ok           12 ms
test bounds                       ... FAILED       34 ms
END
names 'pg_regress from 16 on' 'bounds' <<'END'
ok 1         - type                                       12 ms
not ok 2     - bounds                                     34 ms
END
names pgTAP 'issuing.sql 16: "a promise"' <<'END'
source/test/pgtap/bounds.sql ..... ok
source/test/pgtap/issuing.sql .... 
# Failed test 16: "a promise"
# Looks like you failed 1 test of 17
Failed 1/17 subtests 

Test Summary Report
-------------------
source/test/pgtap/issuing.sql  (Wstat: 0 Tests: 17 Failed: 1)
  Failed test:  16
END
names 'lint and model' $'every source is in the Makefile\ntwo losses' <<'END'
ok clang-format
not ok every source is in the Makefile
not ok two losses
END
exit $status
