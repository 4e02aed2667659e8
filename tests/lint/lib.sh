# SPDX-License-Identifier: Apache-2.0
# lib.sh - ground for the lint scripts; sourced. They run in the root of the source tree.
set -eu
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
failed=0

need_tool() {
    command -v "$1" >/dev/null || {
        echo "skipped: $1 is not installed"
        exit 77
    }
}

complain() {
    echo "$*"
    failed=1
}

# Files under the source tree's own folders that match the patterns, one a line. The work tree and not
# git's index: a file that was just written counts.
sources() {
    local args=() pattern
    for pattern in "$@"; do
        args+=(-o -name "$pattern")
    done
    find fs net checkpoint tests man CMakeLists.txt quickstart .ci -type f \
        \( "${args[@]:1}" \) ! -path 'tests/data/*' | LC_ALL=C sort
}

finish() {
    [ "$failed" -eq 0 ] && echo "clean"
    exit "$failed"
}
