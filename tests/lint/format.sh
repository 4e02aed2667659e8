#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The layout of all C code is what clang-format makes of it.
. "$(dirname "$0")/lib.sh"
need_tool clang-format
mapfile -t files < <(sources '*.c' '*.h')
clang-format --dry-run -Werror "${files[@]}" || complain "run: clang-format -i FILE"
finish
