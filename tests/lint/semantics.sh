#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Each item and section of man/obsmount-semantics.7 that promises something names the tests that hold it to
# that, in a comment below its heading:  .\" Test: mount.files.append_small ..., names as ctest has them.
. "$(dirname "$0")/lib.sh"
page=man/obsmount-semantics.7

exists() { # FOLDER.SCRIPT.CASE, crash.NAME or unit.PROGRAM
    local folder=${1%%.*} rest=${1#*.}
    case $folder in
    unit) [ -f "tests/unit/$rest.c" ] ;;
    crash) grep -qE "^add_crash_test\($rest |NAME crash\.$rest " tests/crash/CMakeLists.txt ;;
    *) grep -qsE "^tx?_${rest#*.}\(\) \{" "tests/$folder/${rest%%.*}.sh" ;;
    esac
}

# "LINE HEADING<tab>TESTS" of each
while IFS=$'\t' read -r heading tests; do
    [ -n "$tests" ] || complain "$page:$heading: no .\\\" Test: line below it"
    for name in $tests; do
        exists "$name" || complain "$page:$heading: there is no test $name"
    done
done < <(awk '
    function end() { if (heading != "") print heading "\t" tests; heading = tests = "" }
    /^\.Sh (NAME|DESCRIPTION|ERROR NUMBERS|SEE ALSO|WRITING|READING|DIRECTORIES AND ATTRIBUTES)$/ { end(); next }
    /^\.(Sh|Ss) / || /^\.It ./ { end(); if ($0 !~ /^\.It Er/) heading = NR ": " $0; next }
    /^\.\\" Test: / { if (heading != "") tests = tests " " substr($0, 11) }
    END { end() }' "$page")
finish
