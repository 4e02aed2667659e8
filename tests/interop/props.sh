#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# props.sh - properties that a mount sets and Huawei's Python SDK reads, and the other way round.

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$(dirname "${BASH_SOURCE[0]}")/../lib/tls.sh"

sdk_props() { sdk_run props.py "$@"; }

set_all() { # FILE
    local name value
    while read -r name value; do
        check "set $name" setfattr -n "user.obs.$name" -v "$value" "$M/$1"
    done <<'END'
acl public-read
grant.read id=account1,id=account2
grant.read_acp id=account1
grant.write_acp id=account1
grant.full_control id=account3
content_type application/x-test
storage_class WARM
website_redirect_location /other.html
expires 7
meta.owner jane
header.Cache-Control no-store
sse kms
END
}

# Every property: by directory, by file before it is stored, on a stored file.
t_sdk_reads_what_the_mount_sets() {
    local fd
    need_sdk
    mkdir "$M/d"
    set_all d
    make_file "$M/d/parts" $((2 * part_size))
    echo x >"$M/d/small"
    exec {fd}>"$M/before"
    set_all before
    echo x >&"$fd"
    exec {fd}>&-
    echo x >"$M/stored"
    set_all stored
    sdk_props check d/small
    sdk_props check d/parts
    sdk_props check before
    sdk_props check stored
    mv "$M/stored" "$M/moved"
    sdk_props check moved
}

# .. and by the options of the mount.
t_sdk_reads_what_the_options_say() {
    need_sdk
    remount "acl=public-read,grant_read=id=account1\\,id=account2,grant_read_acp=id=account1,grant_write_acp=id=account1,grant_full_control=id=account3,content_type=application/x-test,storage_class=WARM,website_redirect_location=/other.html,expires=7,meta=Owner:jane,header=Cache-Control:no-store,sse=kms"
    echo x >"$M/small"
    make_file "$M/parts" $((2 * part_size))
    sdk_props check small
    sdk_props check parts
}

t_mount_reads_what_the_sdk_sets() {
    need_sdk
    sdk_props store f
    local name value
    while read -r name value; do
        check_eq "$name" "$(getfattr --absolute-names --only-values -n "user.obs.$name" "$M/f")" "$value"
    done <<'END'
acl public-read
grant.read id=account1
content_type application/x-test
storage_class WARM
website_redirect_location /other.html
meta.owner jane
END
}

# A customer's key, which goes over https only: either side reads with it what the other has written.
tx_customer_key() {
    need_sdk
    begin_tls
    tls_mount "sse=c:a,sse_c_keys=$T/sse"
    make_file "$T/in" $((2 * part_size + 7))
    cp "$T/in" "$M/of the mount" || fail "cp"
    sdk_props get "of the mount" "$T/sse/a" "$T/out"
    check "what the SDK reads" cmp "$T/in" "$T/out"
    sdk_props put "of the SDK" "$T/sse/a" "$T/in"
    check "what the mount reads" cmp "$T/in" "$M/of the SDK"
    check_eq "sse" "$(getfattr --absolute-names --only-values -n user.obs.sse "$M/of the SDK")" c:a
}

. "$(dirname "$0")/../mount/lib.sh"
