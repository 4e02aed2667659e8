#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# No variable outlives a function, but for those named here with the reason.
. "$(dirname "$0")/lib.sh"
need_tool objdump
build=${OBSM_BUILD:-build/debug}

# libfuse_log: libfuse hands no argument to its message function
allowed='libfuse_log'

found=$(find "$build/fs" "$build/net" "$build/checkpoint" -name '*.o' 2>/dev/null)
[ -n "$found" ] || { echo "skipped: nothing is built in $build"; exit 77; }
# shellcheck disable=SC2086
vars=$(objdump -t $found 2>/dev/null |
    awk '/^[^ ].*file format/ { file = $1 } $0 ~ / O \.(data|bss|tbss|tdata)/ && $0 !~ /\.data\.rel\.ro/ { print file, $NF }' |
    grep -vE ' (\.L|__asan|__odr_asan|__ubsan|__tsan|\.Lubsan|\*\.L|__unnamed_)' | grep -vE " ($allowed)(\.[0-9]+)?\$" || true)
[ -z "$vars" ] || complain "variables of the whole program:
$vars"
finish
