#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Shell scripts parse, and shellcheck (where it is installed) finds no error in them. Python programs
# parse, too.
. "$(dirname "$0")/lib.sh"
shell=()
python=()
while IFS= read -r file; do
    case $file:$(head -n 1 "$file") in
    *.py:* | *:'#!'*python*) python+=("$file") ;;
    *) shell+=("$file") ;;
    esac
done < <(sources '*.sh' '*.py' run quickstart)
for file in "${shell[@]}"; do
    bash -n "$file" || complain "$file does not parse"
done
if command -v shellcheck >/dev/null; then
    shellcheck -S error -x "${shell[@]}" || failed=1
fi
if command -v python3 >/dev/null; then
    # what it compiles is not left in the tree
    PYTHONPYCACHEPREFIX=$(mktemp -d) && export PYTHONPYCACHEPREFIX
    trap 'rm -rf "$PYTHONPYCACHEPREFIX"' EXIT
    python3 -m py_compile "${python[@]}" || failed=1
fi
finish
