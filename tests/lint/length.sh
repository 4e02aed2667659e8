#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# No function over 80 lines, no file over 800, no line of code over 100 columns.
. "$(dirname "$0")/lib.sh"
need_tool ctags
ctags --version 2>/dev/null | grep -q 'Universal Ctags' || { echo "skipped: ctags is not Universal Ctags"; exit 77; }

mapfile -t files < <(sources '*.c' '*.h')
for file in "${files[@]}"; do
    lines=$(wc -l <"$file")
    [ "$lines" -le 800 ] || complain "$file: $lines lines, at most 800 are allowed"
done
long=$(ctags --c-kinds=f --fields=+ne -x --_xformat='%F %N %n %{end}' "${files[@]}" |
    awk '{ n = $4 - $3 + 1 } n > 80 { printf "%s:%d: %s has %d lines, at most 80 are allowed\n", $1, $3, $2, n }')
[ -z "$long" ] || complain "$long"
finish
