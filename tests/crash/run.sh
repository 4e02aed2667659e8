#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# run.sh - one test of this directory: run.sh matrix|random|faults|interrupted [ARG...]
# Starts obs-local, runs the Python program, and leaves neither mounts nor processes behind.
. "$(dirname "${BASH_SOURCE[0]}")/../lib/common.sh"

name=$1
shift
service_start
export T OBS_PORT OBSMOUNT TOP=$top OBS_KEYS=$T/keys OBS_BUCKET=bkt OBSLOCAL PYTHONDONTWRITEBYTECODE=1
python3 "$top/tests/crash/$name.py" "$@" &
program=$!
trap 'kill "$program" 2>/dev/null; exit 130' INT
trap 'kill "$program" 2>/dev/null; exit 143' TERM HUP
wait "$program"
status=$?
# What a failed case has left: mounts of ours, and their drivers (clean_up ends them).
while read -r _ dir _; do
    case $dir in "$T"/*) mounted+=("$dir") ;; esac
done </proc/self/mounts
[ "$status" -ne 0 ] || [ "${#mounted[@]}" -eq 0 ] || fail "mounts were left: ${mounted[*]}"
[ -z "${CRASH_KEEP:-}" ] || [ "$status" -eq 0 ] || { echo "kept: $T"; cp -a "$T" "$T.kept"; }
exit "$status"
