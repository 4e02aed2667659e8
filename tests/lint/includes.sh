#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Which folder may include which, and where the libraries' headers are allowed.
. "$(dirname "$0")/lib.sh"

# only HEADER ALLOWED: outside of the files that ALLOWED (an extended regular expression) matches
only() {
    local hits
    hits=$(grep -rnE --include='*.c' --include='*.h' "^#include [<\"]$1" fs net checkpoint |
        grep -vE "^($2):" || true)
    [ -z "$hits" ] || complain "$1 may be included by $2 only:
$hits"
}

# never FOLDER HEADER
never() {
    local hits
    hits=$(grep -rnE --include='*.c' --include='*.h' "^#include \"$2" "$1" || true)
    [ -z "$hits" ] || complain "$1 must not include $2:
$hits"
}

only 'fuse_lowlevel.h' 'fs/ops[a-z_]*\.[ch]|fs/main\.c|fs/signals\.c|fs/notify\.c'
only 'fuse(_common|_opt)?\.h' 'none'
only 'curl/' 'net/engine[a-z_]*\.[ch]'
only 'openssl/' 'net/(sign|digest|cred)[a-z0-9_]*\.[ch]'
only 'libxml/' 'net/xml[a-z_]*\.[ch]'
only 'jansson\.h' 'net/json[a-z_]*\.[ch]|fs/control[a-z_]*\.[ch]|fs/xattr_codec\.c'

never net 'fs/'
never net 'checkpoint/'
never net 'tests/'
never checkpoint 'fs/'
never checkpoint 'net/[a-z_]*\.h'
never checkpoint 'tests/'
never fs 'tests/'
never net/base '(net/[a-z_]*\.h|fs/|checkpoint/)'
finish
