#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# costs.sh - what changing attributes and renaming cost in requests, and who sees it when.

# How many requests that change something: all but looking.
changing() {
    local looks
    looks=$(requests HeadObject ListObjects GetObject GetObjectAcl)
    echo $(($(requests) - looks))
}

# The change that was answered is in the bucket once nothing gathers any more.
settle_changes() {
    check "sync" python3 -c 'import os, sys; os.fsync(os.open(sys.argv[1], os.O_RDONLY))' "$1"
}

stored_mode() { oc head "$1" | sed -nE 's/^x-(obs|amz)-meta-mode: //p'; }

# One PUT, with mode, owner, times and xattrs in it.
t_cp_p_small() { # s3
    make_file "$T/in" 5000
    chmod 640 "$T/in"
    touch -d @123456789.5 "$T/in"
    setfattr -n user.k -v v "$T/in"
    oc reset
    check "cp" cp -p --preserve=mode,ownership,timestamps,xattr "$T/in" "$M/f"
    check_eq "PUTs" "$(requests PutObject)" 1
    check_eq "changing requests" "$(changing)" 1
    drop_pages
    check_eq "attributes" "$(stat -c '%a %Y' "$M/f")" "640 123456789"
    check_eq "xattr" "$(getfattr --only-values -n user.k "$M/f")" v
}

# Initiate, parts, Complete, and what came after Initiate in one request.
t_cp_p_large() {
    make_file "$T/in" $((4 * part_size + 5))
    chmod 640 "$T/in"
    touch -d @123456789.5 "$T/in"
    oc reset
    check "cp" cp -p "$T/in" "$M/f"
    check_eq "parts" "$(requests UploadPart)" 5
    [ "$(changing)" -le 8 ] || fail "$(changing) requests for 5 parts"
    check_eq "copies" "$(requests CopyObject CopyPart)" 0
    drop_pages
    check_eq "attributes" "$(stat -c '%a %Y' "$M/f")" "640 123456789"
}

# chmod of an object of SIZE: one request, nothing copied, nothing sent or fetched.
chmod_costs_one() { # SIZE
    oc fill small 1 10
    truncate -s "$1" "$T/in"
    oc put f "$T/in" >/dev/null
    stat "$M/f" >/dev/null
    oc reset
    check "chmod" chmod 604 "$M/f"
    settle_changes "$M/f"
    check_eq "changing requests" "$(changing)" 1
    if [ "$dialect" = obs ]; then
        check_eq "copies" "$(requests CopyObject CopyPart)" 0
    else
        check_eq "copies" "$(requests CopyObject)" 1
    fi
    check_eq "bytes fetched" "$(oc bytes GetObject)" 0
    check_eq "bytes sent" "$(oc log | awk -F '\t' '{ n += $4 } END { print n + 0 }')" 0
    check_eq "the mode in the bucket" "$(stored_mode f)" $((0100604))
}

t_chmod_64m() { # s3
    chmod_costs_one $((64 << 20))
}

t_chmod_1g() { # long timeout=300
    chmod_costs_one $((1 << 30))
}

# Owner, times, mode and two xattrs of a stored file go out together.
t_changes_gather() { # s3
    echo x >"$M/f"
    drop_pages
    stat "$M/f" >/dev/null
    oc reset
    check "changes" python3 -c '
import os, sys
p = sys.argv[1]
os.chown(p, 12, 34)
os.utime(p, ns=(10**18, 10**18 + 5))
os.chmod(p, 0o641)
os.setxattr(p, "user.a", b"1")
os.setxattr(p, "user.b", b"2")
os.fsync(os.open(p, os.O_RDONLY))' "$M/f"
    check_eq "changing requests" "$(changing)" 1
    check_eq "the mode in the bucket" "$(stored_mode f)" $((0100641))
    drop_pages
    check_eq "attributes" "$(stat -c '%u %g %a %Y' "$M/f")" "12 34 641 1000000000"
    check_eq "xattrs" "$(getfattr -d --absolute-names "$M/f" | grep -c '^user')" 2
}

# What needs the new attributes finds them in the bucket: here a rename, which copies the object.
t_rename_sees_changes() { # s3
    echo x >"$M/f"
    mkdir "$M/d"
    echo y >"$M/d/g"
    drop_pages
    stat "$M/f" "$M/d/g" >/dev/null
    oc reset
    check "chmod and rename" python3 -c '
import os, sys
m = sys.argv[1]
os.chmod(m + "/f", 0o604)
os.rename(m + "/f", m + "/f2")
os.chmod(m + "/d/g", 0o606)
os.rename(m + "/d", m + "/d2")' "$M"
    check_eq "mode of the file" "$(stored_mode f2)" $((0100604))
    check_eq "mode of the file below" "$(stored_mode d2/g)" $((0100606))
    check_eq "changes after the copies" "$(oc log | awk -F '\t' '$2 ~ /2/ && $1 ~ /Metadata/' | wc -l)" 0
}

# One page for a name brings those that begin with it: what is remembered of them costs no request either.
t_names_that_come_along() { # s3
    local f names=("$M/d/f1" "$M/d/f10" "$M/d/f11" "$M/d/f12")
    mkdir "$M/d"
    for f in "${names[@]}"; do echo x >"$f"; done
    chmod 604 "${names[@]}"
    remount
    stat "${names[@]}" >/dev/null
    remount
    oc reset
    check_eq "modes" "$(stat -c %a "${names[@]}" | xargs)" "604 604 604 604"
    check_eq "HEADs of files" "$(oc log HeadObject | grep -c d/f)" 0
}

# Attributes that another mount has changed: with a service whose PUT ?metadata sets Last-Modified they are
# seen after meta_ttl, with one that leaves it alone not before "refresh". Nobody's times change by it.
seen_by_two() { # SEEN [ARG of the service]
    local seen=$1 mode
    shift
    service_start "$@"
    oc put foreign "$top/CMakeLists.txt" >/dev/null
    mounted_with meta_ttl=1s
    mnt bkt "$T/m2" "dialect=obs,meta_ttl=1s,state_dir=$T/state2,log_file=$T/mount2.log" || fail "the second mount"
    echo x >"$M/f"
    touch -d @1234567890 "$M/f"
    settle_changes "$M/f"
    mkdir "$M/d"
    stat "$T/m2/d" >/dev/null
    local stored
    stored=$(stat -c %Y "$M/foreign" "$T/m2/f" "$T/m2/foreign")
    mode=$(stat -c %a "$T/m2/f")
    sleep 2.1 # Last-Modified has seconds
    check "chmod" chmod 604 "$M/f" "$M/foreign"
    settle_changes "$M/f"
    settle_changes "$M/foreign"
    chmod 700 "$M/d"
    settle_changes "$M/d"
    sleep 1.2
    check_eq "by itself" "$(stat -c %a "$M/f")" 604
    if [ "$seen" = yes ]; then
        check_eq "by the other" "$(stat -c %a "$T/m2/f")" 604
    else
        check_eq "by the other" "$(stat -c %a "$T/m2/f")" "$mode"
    fi
    check "refresh" sh -c 'echo refresh . >"$1"' _ "$T/m2/.obsmount/ctl"
    check_eq "in the end" "$(stat -c %a "$T/m2/f" "$T/m2/foreign" "$T/m2/d" | xargs)" "604 604 700"
    check_eq "times" "$(stat -c %Y "$M/foreign" "$T/m2/f" "$T/m2/foreign")" "$stored"
    check_eq "kept in the object" "$(oc head foreign | sed -nE 's/^x-obs-meta-mtime: ([0-9]+).*/\1/p')" "$(head -n 1 <<<"$stored")"
    check_eq "content" "$(cat "$M/f" "$T/m2/f" | xargs)" "x x"
}

tx_change_touches_last_modified() {
    seen_by_two yes --metadata-touches-mtime
}

tx_change_leaves_last_modified() {
    seen_by_two no
}

# A file: the copy, a look at it, the removal. A directory: listings and removals by the thousand.
t_rename_costs() { # s3-long
    echo x >"$M/f"
    mkdir "$M/d"
    local i
    for i in 1 2 3 4 5; do echo "$i" >"$M/d/$i"; done
    drop_pages
    stat "$M/f" "$M/d" >/dev/null
    oc reset
    check "mv" mv "$M/f" "$M/g"
    check_eq "copy and removal" "$(changing)" 2
    oc reset
    check "mv" mv "$M/d" "$M/e"
    check_eq "copies" "$(requests CopyObject)" 6
    check_eq "copies and one removal" "$(changing)" 7
}

# A refusal is told once, by the next change or open, and the stored attributes show again.
t_refused_change() { # s3
    echo x >"$M/f"
    chmod 640 "$M/f"
    settle_changes "$M/f"
    oc faults '[{"operation":"SetObjectMetadata","status":403,"code":"AccessDenied","count":-1},
                {"operation":"CopyObject","status":403,"code":"AccessDenied","count":-1}]'
    check "chmod is answered" chmod 600 "$M/f"
    local i
    for i in $(seq 100); do
        ! grep -q AccessDenied "$M/.obsmount/errors" || break
        sleep 0.1
    done
    check "errors" grep -q "attributes.*AccessDenied\|AccessDenied" "$M/.obsmount/errors"
    oc faults '[]'
    check_eq "the mode" "$(stat -c %a "$M/f")" 640
    fails "Permission denied" python3 -c 'import os, sys; os.open(sys.argv[1], os.O_RDONLY)' "$M/f"
    check "only once" python3 -c 'import os, sys; os.open(sys.argv[1], os.O_RDONLY)' "$M/f"
    check "the next chmod" chmod 604 "$M/f"
    settle_changes "$M/f"
    check_eq "the mode in the bucket" "$(stored_mode f)" $((0100604))
}

# attr=sync: who changes is the one who is told.
t_sync_waits() { # s3-long
    echo x >"$M/f"
    remount attr=sync
    stat "$M/f" >/dev/null
    oc reset
    check "chmod" chmod 604 "$M/f"
    check_eq "changing requests" "$(changing)" 1
    check_eq "the mode in the bucket" "$(stored_mode f)" $((0100604))
    oc faults '[{"operation":"SetObjectMetadata","status":403,"code":"AccessDenied","count":-1},
                {"operation":"CopyObject","status":403,"code":"AccessDenied","count":-1}]'
    fails "Permission denied" chmod 600 "$M/f"
    oc faults '[]'
    check_eq "the mode" "$(stat -c %a "$M/f")" 604
}

# The service answers 200 to the copy, with the ETag that it should have, and makes none.
t_copy_is_not_done() { # s3
    echo content >"$M/f"
    drop_pages
    local etag body
    etag=$(stored_etag f)
    body="<CopyObjectResult><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>\\\"$etag\\\"</ETag></CopyObjectResult>"
    for body in "$body" "" "<html>hello</html>"; do
        oc faults "[{\"operation\":\"CopyObject\",\"status\":200,\"body\":\"$body\",\"count\":-1}]"
        fails "" mv "$M/f" "$M/g"
        check_eq "the object" "$(oc get f)" content
        oc faults '[]'
        oc delete g >/dev/null
    done
    drop_pages
    check_eq "the file" "$(cat "$M/f")" content
    check "mv" mv "$M/f" "$M/h"
    check_eq "the file" "$(oc get h)" content
}

# Objects above the limit of one copy (lowered here) get their attributes by a copy in parts.
tx_s3_copy_in_parts() {
    dialect=s3
    part_size=5242880
    service_start
    export OBSM_COPY_MAX=6000000 OBSM_COPY_PART=5242880
    grep -q OBSM_COPY_MAX "$OBSMOUNT" || skip "the driver was built without OBSM_TEST_HOOKS"
    mounted_with
    make_file "$T/in" 12000000
    check "cp" cp "$T/in" "$M/f"
    setfattr -n user.k -v v "$M/f"
    settle_changes "$M/f"
    drop_pages
    stat "$M/f" >/dev/null
    oc reset
    check "chmod" chmod 604 "$M/f"
    check "touch" touch -d @123456789 "$M/f"
    settle_changes "$M/f"
    check_eq "copied parts" "$(requests CopyPart)" 3
    check_eq "whole copies" "$(requests CopyObject)" 0
    check_eq "bytes fetched" "$(oc bytes GetObject)" 0
    check_eq "the mode in the bucket" "$(stored_mode f)" $((0100604))
    check_eq "uploads that are left" "$(oc uploads | wc -l)" 0
    check "content" cmp "$T/in" "$M/f"
    drop_pages
    check "content" cmp "$T/in" "$M/f"
    check_eq "attributes" "$(stat -c '%a %Y' "$M/f")" "604 123456789"
    check_eq "xattr" "$(getfattr --only-values -n user.k "$M/f")" v
}

# The real limit, with a service that keeps no bytes.
tx_s3_chmod_6g() { # long timeout=900
    dialect=s3
    part_size=$((64 << 20))
    service_start --null-store
    mounted_with "max_file_size=1T"
    truncate -s 6G "$T/in"
    check "cp" cp --sparse=never "$T/in" "$M/f"
    drop_pages
    stat "$M/f" >/dev/null
    oc reset
    check "chmod" chmod 604 "$M/f"
    settle_changes "$M/f"
    check_eq "copied parts" "$(requests CopyPart)" 6
    check_eq "the mode in the bucket" "$(stored_mode f)" $((0100604))
}

# A directory of more objects than may be renamed as a whole: mv(1) copies file by file.
t_dir_rename_max() { # s3-long
    remount dir_rename_max=5
    mkdir "$M/d"
    local i
    for i in 1 2 3 4 5; do echo "$i" >"$M/d/$i"; done
    fails "cross-device" python3 -c 'import os, sys; os.rename(sys.argv[1] + "/d", sys.argv[1] + "/e")' "$M"
    check_eq "the old names" "$(ls "$M/d" | wc -l)" 5
    check_eq "the new keys" "$(oc list e | wc -l)" 0
    check "mv" mv "$M/d" "$M/e"
    check_eq "the new names" "$(ls "$M/e" | wc -l)" 5
    check_eq "the old keys" "$(oc list d | wc -l)" 0
}

# Attributes arrive while the file is written again, by somebody who is killed: what shows then is the stored
# version, with its time.
t_attributes_beside_a_write() { # s3 timeout=180
    local op=SetObjectMetadata
    [ "$dialect" = obs ] || op=CopyObject
    echo old >"$M/f"
    touch -d @1000000000 "$M/f"
    check "sync" sync "$M/f"
    oc reset
    oc faults "[{\"operation\":\"$op\",\"count\":-1,\"delay_ms\":2000}]"
    coproc WRITER { exec python3 -c 'import os, sys
fd = os.open(sys.argv[1], os.O_RDWR)
print("open", flush=True)
sys.stdin.readline()
os.write(fd, b"new\n")
print("written", flush=True)
sys.stdin.readline()' "$M/f"; }
    local line writer=$WRITER_PID from=${WRITER[0]} to=${WRITER[1]}
    read -r line <&"$from"
    chmod 604 "$M/f"
    wait_until faults_have_come
    echo >&"$to"
    read -r line <&"$from"
    is_answered() { [ "$(requests "$op")" -gt 0 ]; }
    wait_until is_answered
    kill -9 "$writer"
    is_interrupted() { grep -q interrupted "$M/.obsmount/uploads"; }
    wait_until is_interrupted
    oc faults '[]'
    check_eq "mode and time" "$(stat -c '%a %Y' "$M/f")" "604 1000000000"
    check_eq "content" "$(cat "$M/f")" old
}

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
