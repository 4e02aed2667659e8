#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# posix.sh - each system call with the errors that its manual names: the cases of posix.c.

posix() { # CASE
    mkdir "$M/$1"
    check "$1" run_limited 60 "$OBSM_BUILD/tests/mount/posix" "$1" "$M/$1"
}

# All that lstat and the extended attributes say.
everything() {
    (cd "$M" && find . -mindepth 1 -printf '%p %M %U %G %s %T@ %A@ %C@ %l\n' | LC_ALL=C sort &&
        getfattr -hRd -m - . 2>/dev/null)
}

# Some cases on one mount; what they leave is the same after a remount.
posix_with() { # OPTIONS CASE...
    local options=$1 case
    shift
    service_start
    mounted_with "$options"
    chmod 755 "$T" "$M"
    for case; do posix "$case"; done
    everything >"$T/before"
    remount "$options"
    everything >"$T/after"
    check "after a remount" diff "$T/before" "$T/after"
}

tx_open() { # s3-long
    posix_with "" open_flags open_errors input_output
}

tx_names() { # s3-long
    posix_with "" directories links special_files
}

# The kernel asks again after meta_ttl, also for what has no name any more.
tx_rename_unlink() { # s3-long
    posix_with meta_ttl=1s renames unlinks numbers
}

tx_access() { # s3-long
    posix_with allow_other permissions ownership sticky_and_setgid
}

tx_attributes() { # s3-long
    posix_with "" times xattrs
}

tx_content() { # s3-long
    posix_with "" sizes fallocates maps locks
}

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
