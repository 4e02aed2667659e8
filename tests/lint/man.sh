#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The manual pages are well formed.
. "$(dirname "$0")/lib.sh"
need_tool mandoc
for page in man/*.[1-9]; do
    # references to pages of other packages cannot be resolved everywhere
    out=$(mandoc -Tlint -W warning "$page" 2>&1 | grep -v 'referenced manual not found' || true)
    [ -z "$out" ] || complain "$out"
done
finish
