#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Each paragraph and item of man/obsmount-semantics.7 that promises something names the tests that hold it to
# that, in a comment below the macro that opens it:  .\" Test: mount.files.append_small ..., names as ctest has
# them; a case of a crash test may stand behind its name: crash.renames.file_refused.
. "$(dirname "$0")/lib.sh"
page=man/obsmount-semantics.7
crashes=tests/crash/CMakeLists.txt

crash_exists() { # NAME[.CASE]
    local name=${1%%.*} case program
    grep -qE "NAME crash\.$name " "$crashes" && return
    program=$(sed -nE "s/^add_crash_test\($name ([a-z_]+) .*/\1/p" "$crashes")
    [ -n "$program" ] || return
    [ "$name" != "$1" ] || return 0
    case=${1#*.}
    grep -qE "^def $case\(|\"$case\"" "tests/crash/$program.py"
}

exists() { # FOLDER.SCRIPT.CASE, crash.NAME or unit.PROGRAM
    local folder=${1%%.*} rest=${1#*.}
    case $folder in
    unit) [ -f "tests/unit/$rest.c" ] ;;
    crash) crash_exists "$rest" ;;
    limits) grep -qsE "^tx?_$rest\(\) \{" tests/limits/limits.sh ;;
    *) grep -qsE "^tx?_${rest#*.}\(\) \{" "tests/$folder/${rest%%.*}.sh" ;;
    esac
}

# "LINE: MACRO<tab>TESTS" of each that has text of its own
while IFS=$'\t' read -r where tests; do
    [ -n "$tests" ] || complain "$page:$where: no .\\\" Test: line below it"
    for name in $tests; do
        exists "$name" || complain "$page:$where: there is no test $name"
    done
done < <(awk '
    function end() { if (text && !free) print where "\t" tests; where = tests = ""; text = 0 }
    /^\.(Sh|Ss|It|Pp)/ { end(); where = NR ": " $0 }
    /^\.Sh / { free = /^\.Sh (NAME|DESCRIPTION|SEE ALSO)$/ }
    /^\.Ss / { free = 0 }
    /^\.\\" Test: / { tests = tests " " substr($0, 11) }
    /^[^.]/ { text = 1 }
    END { end() }' "$page")
finish
