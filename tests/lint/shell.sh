#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Shell scripts parse, and shellcheck (where it is installed) finds no error in them.
. "$(dirname "$0")/lib.sh"
mapfile -t files < <(sources '*.sh' run quickstart)
for file in "${files[@]}"; do
    bash -n "$file" || complain "$file does not parse"
done
if command -v shellcheck >/dev/null; then
    shellcheck -S error -x "${files[@]}" || failed=1
fi
finish
