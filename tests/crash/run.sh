#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# run.sh - one test of this directory: run.sh matrix|random_kills|faults|interrupted [ARG...]
# Starts obs-local, runs the Python program, and leaves neither mounts nor processes behind.
. "$(dirname "${BASH_SOURCE[0]}")/../lib/common.sh"

name=$1
shift
service_start
export T OBS_PORT OBSMOUNT TOP=$top OBS_KEYS=$T/keys OBS_BUCKET=bkt OBSLOCAL PYTHONDONTWRITEBYTECODE=1
program=

# What a case has left when it was ended: drivers without anybody to ask them for anything.
end_drivers() {
    local dir pid
    if [ -n "$program" ]; then
        kill "$program" 2>/dev/null
        wait_gone "$program" 5 || kill -9 "$program" 2>/dev/null
    fi
    # first all, then one after the other: the list changes while it is read
    for dir in $(awk -v t="$T/" 'index($2, t) == 1 { print $2 }' /proc/self/mounts); do
        pid=$(driver_pid "$dir")
        [ -z "$pid" ] || kill -9 "$pid" 2>/dev/null
        umount -i -l "$dir" 2>/dev/null
    done
}
# shellcheck disable=SC2154 # status is for clean_up
trap 'status=$?; end_drivers; (exit "$status"); clean_up' EXIT

python3 "$top/tests/crash/$name.py" "$@" &
program=$!
wait "$program"
status=$?
program=
left=$(awk -v t="$T/" 'index($2, t) == 1 { print $2 }' /proc/self/mounts)
[ "$status" -ne 0 ] || [ -z "$left" ] || fail "mounts were left: $left"
[ -z "${CRASH_KEEP:-}" ] || [ "$status" -eq 0 ] || { echo "kept: $T"; cp -a "$T" "$T.kept"; }
exit "$status"
