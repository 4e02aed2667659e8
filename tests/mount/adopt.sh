#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# adopt.sh - adopt_uploads: an upload that only the server knows goes on; adopt_state: what another state
# directory has.

hour=3601

# A driver dies with parts of $T/src on the server, and its state directory is lost. $stored: so many.
lose() { # NAME
    make_file "$T/src" $((part_size * 6 + 1000))
    exec 7>"$M/$1"
    head -c $((part_size * 4 + 100)) "$T/src" >&7
    local i
    for ((i = 0; i < 300; i++)); do
        [ "$(oc log UploadPart | awk -F '\t' '$3 == 200' | grep -c .)" -lt 4 ] || break
        sleep 0.1
    done
    stored=$(oc log UploadPart | awk -F '\t' '$3 == 200' | grep -c .)
    [ "$stored" -ge 4 ] || fail "only $stored parts were taken"
    kill_driver
    { exec 7>&-; } 2>/dev/null
    rm -rf "$T/state"
    [ -n "$(oc uploads)" ] || fail "there is no upload on the server"
    oc reset
}

# cp of the same file: so many parts are sent, and so many uploads are left.
copy_again() { # NAME PARTS UPLOADS
    cp "$T/src" "$M/$1" || fail "cp"
    check_eq "parts sent" "$(requests UploadPart)" "$2"
    check_eq "uploads left" "$(oc uploads | grep -c .)" "$3"
    check_eq "the ETag" "$(stored_etag "$1")" "$(oc etag "$T/src" $part_size)"
    oc get "$1" | cmp - "$T/src" || fail "it differs"
}

clock() {
    oc clock "{\"advance_s\":$1}"
    export OBS_CLOCK=$((${OBS_CLOCK:-0} + $1))
}

tx_adopted() {
    service_start
    mounted_with acl=public-read,meta=old:1
    lose f
    clock $hour
    mounted_with adopt_uploads=on,meta=new:2
    umask 027
    copy_again f 3 0
    check_eq "mode" "$(stat -c %a "$M/f")" 640
    check_eq "the ACL" "$(oc acl f | grep -c AllUsers)" 0
    check_eq "old metadata" "$(oc head f | grep -ci x-obs-meta-old)" 0
    check_eq "new metadata" "$(oc head f | sed -n 's/^x-obs-meta-new: //Ip')" 2
    check_eq "content type" "$(oc head f | sed -n 's/^content-type: //Ip')" application/octet-stream
    drop_pages
    check_eq "mode afterwards" "$(stat -c %a "$M/f")" 640
    leave
}

# Off: the same file is sent as a whole, and the upload is nobody's business.
tx_off() {
    service_start
    mounted_with
    lose f
    clock $hour
    mounted_with
    copy_again f 7 1
    leave
}

tx_young() {
    service_start
    mounted_with
    lose f
    mounted_with adopt_uploads=on
    copy_again f 7 1
    leave
}

tx_of_somebody_else() {
    service_start
    mounted_with
    lose f
    clock $hour
    oc credentials '{"add":["OTHER:secret"]}'
    echo OTHER:secret >"$T/keys"
    mounted_with adopt_uploads=on
    copy_again f 7 1
    leave
}

# An object that is newer than the upload would win against it.
tx_older_than_the_object() {
    service_start
    mounted_with
    lose f
    clock 60
    echo newer | oc put f >/dev/null
    clock $hour
    mounted_with adopt_uploads=on
    copy_again f 7 1
    leave
}

tx_other_content() {
    service_start
    mounted_with
    lose f
    clock $hour
    mounted_with adopt_uploads=on
    make_file "$T/src" $((part_size * 6 + 1000))
    copy_again f 7 1
    leave
}

# The driver dies between Complete and what follows it: the next mount sends that.
tx_crash_after_complete() {
    service_start
    mounted_with acl=public-read,meta=old:1
    lose f
    clock $hour
    mounted_with adopt_uploads=on
    oc faults '[{"operation":"SetObjectMetadata","count":-1,"status":503}]'
    cp "$T/src" "$M/f" 2>/dev/null &
    local copier=$!
    local i
    for ((i = 0; i < 300; i++)); do
        [ "$(requests SetObjectMetadata)" -eq 0 ] || break
        sleep 0.1
    done
    kill_driver
    wait "$copier" && fail "close said that it was stored"
    oc faults '[]'
    mounted_with adopt_uploads=on
    leave # waits for what is unfinished
    check_eq "the ACL" "$(oc acl f | grep -c AllUsers)" 0
    check_eq "old metadata" "$(oc head f | grep -ci x-obs-meta-old)" 0
    oc get f | cmp - "$T/src" || fail "it differs"
}

tx_s3_refused() {
    service_start
    ! mnt bkt "$M" "endpoint=http://127.0.0.1:$OBS_PORT,dialect=s3,part_size=5M,adopt_uploads" 2>"$T/err" ||
        fail "accepted with dialect=s3"
    grep -q "option 'adopt_uploads'" "$T/err" || fail "$(cat "$T/err")"
}

# adopt_state: what a mount with another spelling of the endpoint has left.

is_asked() { [ "$(requests "$@")" -gt 0 ]; }
is_stored() { [ -n "$(oc list "$1")" ]; }
is_gone_there() { [ -z "$(oc list "$1")" ]; }

# Those with more than a header.
ledgers() { find "$1" \( -name 'changes*' -o -name 'moves*' \) -size +32c; }

# Mounts under another address, first without the option, and sees that the log names the directory.
mount_elsewhere() {
    local id other
    id=$(basename "$T"/state/*)
    other=endpoint=http://127.0.0.1:$OBS_PORT
    mounted_with "$other"
    check "the log names it" grep -q "changes of attributes or renames.*adopt_state=$id" "$T/mount.log"
    check "the list of uploads, too" grep -q "elsewhere .*adopt_state=$id .*prefix ''" "$M/.obsmount/uploads"
    check_eq "and for programs" "$(python3 -c '
import json, sys
print(*[e["adopt_state"] for e in json.load(open(sys.argv[1]))["elsewhere"]])' "$M/.obsmount/uploads.json")" "$id"
    leave
    mounted_with "$other,adopt_state=$id"
    check_eq "not named any more" "$(grep -c elsewhere "$M/.obsmount/uploads")" 0
    check_eq "left there" "$(ledgers "$T/state/$id")" ""
}

tx_state_with_changes() {
    service_start
    mounted_with
    echo a >"$M/a"
    mkdir "$M/d"
    sleep 0.3
    oc faults '[{"operation":"SetObjectMetadata","count":-1,"status":503,"code":"ServiceUnavailable"},
                 {"operation":"PutObject","key":"d/","count":-1,"status":503,"code":"ServiceUnavailable"}]'
    chmod 640 "$M/a"
    chmod 750 "$M/d"
    kill_driver
    oc faults '[]'
    mount_elsewhere
    check_eq "mode of the file" "$(stat -c %a "$M/a")" 640
    check_eq "mode of the directory" "$(stat -c %a "$M/d")" 750
    leave
    check_eq "mode in the bucket" "$(oc head a | sed -n 's/^x-obs-meta-mode: //Ip')" $((0100640))
    check_eq "what was read is removed" "$(ledgers "$T/state")" ""
    mounted_with
}

# A rename of a directory that waits for the faulted request; the driver dies meanwhile.
cut_rename() { # FAULT CONDITION...
    local i
    service_start
    mounted_with
    mkdir "$M/d"
    for i in 1 2 3 4; do echo "$i" >"$M/d/$i"; done
    oc faults "[$1]"
    oc reset
    mv "$M/d" "$M/e" 2>/dev/null &
    local mover=$!
    wait_until "${@:2}"
    kill_driver
    ! wait $mover || fail "mv succeeded"
    oc faults '[]'
    mount_elsewhere
}

# All copies were there: it is finished.
tx_state_with_a_rename() {
    cut_rename '{"operation":"DeleteObject*","count":-1,"status":503,"code":"ServiceUnavailable"}' \
        is_asked DeleteObjects DeleteObject
    wait_until is_gone_there d
    check_eq "objects" "$(oc list | cut -f 1 | xargs)" "e/ e/1 e/2 e/3 e/4"
    check_eq "content" "$(cat "$M"/e/* | xargs)" "1 2 3 4"
    leave
    check_eq "what was read is removed" "$(ledgers "$T/state")" ""
    mounted_with
}

# Not all copies were there: it is undone.
tx_state_with_half_a_rename() {
    cut_rename '{"operation":"CopyObject","key":"e/3","count":-1,"status":503,"code":"ServiceUnavailable"}' \
        is_stored e/4
    wait_until is_gone_there e
    check_eq "objects" "$(oc list | cut -f 1 | xargs)" "d/ d/1 d/2 d/3 d/4"
    check_eq "content" "$(cat "$M"/d/* | xargs)" "1 2 3 4"
    leave
    mounted_with
}

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
