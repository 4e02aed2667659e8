#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# props.sh - properties that a mount sets and Huawei's Python SDK reads, and the other way round.

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

sdk_props() { sdk_run props.py "$@"; }

# Set by directory before the upload, and on a stored file.
t_sdk_reads_what_the_mount_sets() {
    local name
    need_sdk
    mkdir "$M/d"
    echo x >"$M/stored"
    for name in d stored; do
        setfattr -n user.obs.acl -v public-read "$M/$name"
        setfattr -n user.obs.grant.read -v id=account1 "$M/$name"
        setfattr -n user.obs.grant.full_control -v id=account3 "$M/$name"
        setfattr -n user.obs.content_type -v application/x-test "$M/$name"
        setfattr -n user.obs.storage_class -v WARM "$M/$name"
        setfattr -n user.obs.website_redirect_location -v /other.html "$M/$name"
        setfattr -n user.obs.meta.owner -v jane "$M/$name"
    done
    make_file "$M/d/parts" $((2 * part_size))
    echo x >"$M/d/small"
    sdk_props check stored
    sdk_props check d/small
    sdk_props check d/parts
}

t_mount_reads_what_the_sdk_sets() {
    need_sdk
    sdk_props store f
    local name value
    while read -r name value; do
        check_eq "$name" "$(getfattr --absolute-names --only-values -n "user.obs.$name" "$M/f")" "$value"
    done <<'END'
content_type application/x-test
storage_class WARM
website_redirect_location /other.html
meta.owner jane
END
}

. "$(dirname "$0")/../mount/lib.sh"
