#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Server-side encryption: with a customer's keys (SSE-C), with keys of the service (SSE-KMS), and by the
# bucket's own default.

. "$(dirname "${BASH_SOURCE[0]}")/../lib/tls.sh"

tls_remount() {
    leave
    tls_mount "$@"
}

# What the service has of KEY, read with the key in FILE.
stored_with() { # KEY FILE
    local headers
    mapfile -t headers < <(oc key-headers "$2")
    oc get "$1" "${headers[@]}"
}

prefix() { [ "$dialect" = obs ] && echo x-obs || echo x-amz; }

# All requests of OP said VALUE in HEADER, and there was one.
all_said() { # OP HEADER VALUE
    local said
    said=$(oc arrived "$1" "$(prefix)-$2" | cut -f 2 | sort -u)
    check_eq "$2 of $1" "$said" "$3"
}

customer=server-side-encryption-customer

# Files, links, renames and changes with a customer's key: every request carries it that must.
tx_customer_key() { # s3-long timeout=240
    begin_tls
    tls_mount "sse=c:a,sse_c_keys=$T/sse"
    echo hello >"$M/small"
    : >"$M/empty"
    make_file "$T/big" $((part_size * 2 + 7))
    cp "$T/big" "$M/big" || fail "cp"
    ln -s small "$M/link"
    mkdir "$M/d"
    all_said UploadPart $customer-key '***'
    all_said InitiateMultipartUpload $customer-algorithm AES256
    all_said CompleteMultipartUpload $customer-key -
    all_said UploadPart server-side-encryption -
    fails "400" oc get small
    check_eq "stored" "$(stored_with small "$T/sse/a")" hello

    # Found again by its MD5, without the option; the default of new files is another key.
    tls_remount "sse=c:b,sse_c_keys=$T/sse"
    check "content" cmp "$T/big" "$M/big"
    check_eq "small" "$(cat "$M/link")" hello
    check_eq "empty" "$(stat -c %s "$M/empty")" 0
    check_eq "range" "$(tail -c 100 "$M/big" | md5sum)" "$(tail -c 100 "$T/big" | md5sum)"

    # What is changed keeps its key, what is new gets the new one.
    mv "$M/big" "$M/d/moved" || fail "rename"
    check "renamed" cmp "$T/big" "$M/d/moved"
    echo more | tee -a "$T/big" >>"$M/d/moved" || fail "append"
    printf 'MIDDLE' | tee >(dd of="$T/big" bs=1 seek=$((part_size + 10)) conv=notrunc status=none) |
        dd of="$M/d/moved" bs=1 seek=$((part_size + 10)) conv=notrunc status=none || fail "overwrite"
    chmod 600 "$M/d/moved" || fail "chmod"
    touch -d @1000000000 "$M/d/moved"
    cp "$M/d/moved" "$M/copy" || fail "cp inside"
    truncate -s 3 "$M/small" || fail "truncate"
    tls_remount "sse_c_keys=$T/sse"
    check "changed" cmp "$T/big" "$M/d/moved"
    check "copied" cmp "$T/big" "$M/copy"
    check_eq "truncated" "$(cat "$M/small")" hel
    check_eq "attributes" "$(stat -c '%a %Y' "$M/d/moved")" "600 1000000000"
    check "key of a change" cmp "$T/big" <(stored_with d/moved "$T/sse/a")
    check "key of a new file" cmp "$T/big" <(stored_with copy "$T/raw_b")
    ! grep -rqF "$(base64 -w 0 "$T/sse/a")" "$T/mount.log" "$T/state" "$M/.obsmount/config" ||
        fail "a key is in a log, a journal or a control file"
}

# A whole directory is renamed: each object keeps its own encryption.
tx_rename_directory() { # s3-long timeout=240
    begin_tls
    tls_mount "sse_c_keys=$T/sse"
    mkdir "$M/d"
    echo plain >"$M/d/plain"
    tls_remount "sse=c:a,sse_c_keys=$T/sse"
    echo secret >"$M/d/secret"
    tls_remount "sse=kms:some-key,sse_c_keys=$T/sse"
    echo managed >"$M/d/managed"
    mv "$M/d" "$M/e" || fail "rename"
    check_eq "plain" "$(oc get e/plain)" plain
    check_eq "secret" "$(stored_with e/secret "$T/sse/a")" secret
    check_eq "managed" "$(oc head e/managed | grep kms-key-id)" \
        "x-obs-server-side-encryption-kms-key-id: some-key"
    check_eq "all" "$(cat "$M"/e/*)" $'managed\nplain\nsecret'
}

# rsync's temporary names, and a second run that finds nothing to do.
tx_rsync() {
    command -v rsync >/dev/null || skip "rsync is not installed"
    begin_tls
    tls_mount "sse=c:a,sse_c_keys=$T/sse"
    mkdir "$T/from"
    make_file "$T/from/small" 1000
    make_file "$T/from/big" $((part_size + 5))
    check "rsync" rsync -a "$T/from/" "$M/to/"
    check_eq "copies" "$(requests CopyObject CopyPart)" 0
    tls_remount "sse=c:a,sse_c_keys=$T/sse"
    check_eq "nothing to do" "$(rsync -ai "$T/from/" "$M/to/")" ""
    check "content" diff -r "$T/from" "$M/to"
}

# Without the key the file shows and can be removed, and its content is refused.
tx_missing_key() {
    begin_tls
    tls_mount "sse=c:a,sse_c_keys=$T/sse"
    echo secret >"$M/f"
    echo more >"$M/g"
    tls_remount
    check_eq "names" "$(ls "$M")" $'f\ng'
    check_eq "size" "$(stat -c %s "$M/f")" 7
    fails "Permission denied" cat "$M/f"
    fails "Permission denied" chmod 600 "$M/f"
    fails "Permission denied" mv "$M/f" "$M/h"
    grep -q "mount with sse_c_keys" "$M/.obsmount/errors" || fail "errors does not say what is missing"

    make_keys "$T/others"
    tls_remount "sse_c_keys=$T/others"
    fails "Permission denied" cat "$M/f"
    grep -q "a customer's key that is not in sse_c_keys" "$M/.obsmount/errors" || fail "errors does not say why"
    check "rm" rm "$M/g"
    check_eq "removed" "$(oc list)" "$(oc list f)"

    # nothing is remembered of it
    leave
    rm -rf "$T/state"
    tls_mount "sse_c_keys=$T/others"
    check_eq "size" "$(stat -c %s "$M/f")" 7
    fails "Permission denied" cat "$M/f"
    fails "Permission denied" sh -c "echo x >>'$M/f'"
    grep -q "a customer's key that is not in sse_c_keys" "$M/.obsmount/errors" || fail "errors does not say why"
    tls_remount "sse_c_keys=$T/sse"
    check_eq "with the key" "$(cat "$M/f")" secret
}

refused() { # TEXT OPTIONS
    fails "$1" run_limited 20 "$OBSMOUNT" bkt "$M" -o "$(base_options),$2"
    ! grep -q " $M fuse" /proc/self/mounts || fail "it is mounted"
}

# What cannot work is refused when the bucket is mounted, with a sentence.
tx_refused() {
    service_start
    make_keys "$T/sse"
    mkdir "$M"
    refused "a customer's key is never sent over http" "sse_c_keys=$T/sse"
    refused "expected none, kms, kms:KEY_ID or c:NAME" "sse=aes"
    refused "neither a key's id" "sse=kms:region:x"
    refused "needs sse_c_keys" "sse=c:a"
    local tls=endpoint=https://localhost:$OBS_PORT
    refused "there is no key 'c'" "$tls,sse=c:c,sse_c_keys=$T/sse"
    chmod 640 "$T/sse/a"
    refused "may be accessed by others" "$tls,sse_c_keys=$T/sse"
    chmod 600 "$T/sse/a"
    chmod 770 "$T/sse"
    refused "may be written by others" "$tls,sse_c_keys=$T/sse"
    chmod 700 "$T/sse"
    echo short >"$T/sse/c"
    chmod 600 "$T/sse/c"
    refused "holds neither a key of 32 bytes" "$tls,sse_c_keys=$T/sse"
    refused "No such file" "$tls,sse_c_keys=$T/none"
}

# check_says STATUS TEXT DIR [OPTIONS]: obsmount --check with the keys in DIR
check_says() {
    local got=0
    "$OBSMOUNT" --check bkt -o "$(tls_options),credential_file=$T/keys,sse_c_keys=$3${4:+,$4}" >"$T/check.out" 2>&1 || got=$?
    check_eq "exit code ($(cat "$T/check.out"))" "$got" "$1"
    check "says '$2'" grep -qF -- "$2" "$T/check.out"
}

# --check reads the keys too, before anything is sent.
tx_check() {
    begin_tls
    check_says 0 "ok    sse keys  2 in '$T/sse'" "$T/sse"
    check_says 0 "ok    bucket" "$T/sse" sse=c:b
    check_eq "no secret" "$(grep -cF -f "$T/sse/b" "$T/check.out")" 0
    oc reset
    check_says 32 "FAIL  sse keys  " "$T/none"
    check "which" grep -q "'$T/none': No such file" "$T/check.out"
    check "what to do" grep -q "mode 0600 and one key of 32 bytes" "$T/check.out"
    check_says 32 "there is no key 'c'" "$T/sse" sse=c:c
    chmod 644 "$T/sse/b"
    check_says 32 "'$T/sse/b' may be accessed by others" "$T/sse"
    chmod 600 "$T/sse/b"
    chmod 777 "$T/sse"
    check_says 32 "may be written by others" "$T/sse"
    chmod 700 "$T/sse"
    (umask 077 && head -c 31 /dev/urandom >"$T/sse/short")
    check_says 32 "'$T/sse/short' holds neither a key of 32 bytes nor one in base64" "$T/sse"
    rm "$T/sse/short"
    check_eq "nothing was sent" "$(requests)" 0
    check_says 0 "ok    sse keys" "$T/sse"
}

# Keys of the service, over http: asked for with the object, not with its parts.
tx_kms() { # s3 timeout=240
    service_start
    mounted_with "sse=kms"
    echo hello >"$M/small"
    make_file "$T/big" $((part_size * 2 + 7))
    cp "$T/big" "$M/big" || fail "cp"
    mkdir "$M/d"
    local word=kms id=kms-key-id
    [ "$dialect" = obs ] || word=aws:kms id=aws-kms-key-id
    all_said PutObject server-side-encryption $word
    all_said InitiateMultipartUpload server-side-encryption $word
    all_said UploadPart server-side-encryption -
    [ -z "$(oc arrived UploadPart content-md5 | grep -- '-$')" ] || fail "a part without Content-MD5"
    check_eq "the default key" "$(oc head small | grep -c kms-key-id)" 1
    oc reset
    remount "sse=kms:region:domain:key/0001"
    check "content" cmp "$T/big" "$M/big"
    echo new >"$M/new"
    all_said PutObject server-side-encryption-$id region:domain:key/0001

    # Changes and renames of a mount that asks for nothing keep what is there.
    remount
    mv "$M/new" "$M/d/renamed" || fail "rename"
    echo more | tee -a "$T/big" >>"$M/big" || fail "append"
    check_eq "after the rename" "$(oc head d/renamed | grep kms-key-id)" \
        "x-obs-server-side-encryption-kms-key-id: region:domain:key/0001"
    check_eq "after the append" "$(oc head big | grep -c encryption:.kms)" 1
    remount
    check "appended" cmp "$T/big" "$M/big"
    check_eq "renamed" "$(cat "$M/d/renamed")" new
}

# The object of a directory is written anew for its attributes (s3), and has no ETag to compare either.
tx_kms_directory() { # s3
    service_start
    mounted_with "sse=kms"
    mkdir "$M/d"
    chmod 710 "$M/d"
    remount "sse=kms"
    check_eq "mode" "$(stat -c %a "$M/d")" 710
    chmod 701 "$M/d"
    remount
    check_eq "changed again" "$(stat -c %a "$M/d")" 701
    check_eq "failed" "$(grep -c 'keeps its old attributes' "$T/mount.log")" 0
}

not_readable='{"operation":"HeadObject","count":-1,"status":403,"code":"AccessDenied"},
    {"operation":"GetObject","count":-1,"status":403,"code":"AccessDenied"}'

# blind NAME: stores it while nobody may look: all that is known is the answer to the completion.
blind() {
    exec 7>"$M/$1"
    oc faults "[$not_readable,{\"operation\":\"ListObjects\",\"count\":-1,\"status\":403,\"code\":\"AccessDenied\"}]"
    cat "$T/big" >&7
    exec 7>&-
    check_eq "unstored, failed" "$(cat "$M/.obsmount/uploads" "$M/.obsmount/errors" | grep -c "$1")" 0
    check "said once" test "$(grep -c 'completed upload cannot be checked' "$T/mount.log")" = 1
}

uploads_are_gone() { [ -z "$(oc uploads)" ]; }

# Keys of the service that these access keys may encrypt with, not decrypt: what is written is stored, and a
# completed upload is looked at in a listing, where its ETag says nothing of its content.
tx_kms_not_readable() { # s3 timeout=240
    service_start
    mounted_with "sse=kms,on_conflict=error"
    oc faults "[$not_readable]"
    echo hello >"$M/small"
    make_file "$T/big" $((part_size * 2 + 7))
    check "in parts" cp -p "$T/big" "$M/big"
    fails "Permission denied" cat "$M/small"
    check_eq "the listing" "$(requests ListObjects | grep -c '[1-9]')" 1
    check_eq "big there" "$(oc list big | cut -f 2)" $((part_size * 2 + 7))

    # a crash between the parts: what is there is used again, and nothing is read for it
    exec 7>"$M/again"
    head -c $((part_size * 2)) "$T/big" >&7
    wait_until test "$(requests UploadPart)" -ge 4
    kill_driver
    { exec 7>&-; } 2>/dev/null
    mounted_with "sse=kms"
    check "again" cp "$T/big" "$M/again"
    wait_until uploads_are_gone

    blind blind
    oc faults '[]'
    remount "sse=kms"
    local f
    for f in big again blind; do check "$f" cmp "$T/big" "$M/$f"; done
    check_eq "small" "$(cat "$M/small")" hello
    check_eq "modes" "$(stat -c %a "$M/big")" "$(stat -c %a "$T/big")"
}

# A key that the service refuses is a refusal of the close, with the reason.
t_kms_refused() {
    oc faults '[{"operation":"PutObject","count":-1,"status":400,"code":"KMS.NotFoundException"}]'
    remount "sse=kms:nobody-has-it"
    fails "Permission denied" dd if=/dev/zero of="$M/f" bs=10 count=1 status=none
    grep -q "check it in the KMS" "$M/.obsmount/errors" || fail "errors does not say why"
}

# The bucket encrypts by itself: that shows in answers only, and ETags are no checksums.
tx_default_encryption() { # s3-long timeout=240
    service_start --default-encryption kms
    mounted_with
    echo first >"$M/first"
    check_eq "sent again, with its checksum" "$(oc arrived PutObject content-md5 | grep -c first)" 2
    oc reset
    echo small >"$M/small"
    make_file "$T/big" $((part_size * 2 + 7))
    cp -p "$T/big" "$M/big" || fail "cp"
    check_eq "sent once" "$(oc arrived PutObject content-md5 | grep -c small)" 1
    [ -z "$(oc arrived PutObject content-md5 | grep -- '-$')" ] || fail "a PUT without Content-MD5"
    [ -z "$(oc arrived UploadPart content-md5 | grep -- '-$')" ] || fail "a part without Content-MD5"
    mv "$M/small" "$M/renamed" || fail "rename"
    echo more | tee -a "$T/big" >>"$M/big" || fail "append"
    remount
    check "content" cmp "$T/big" "$M/big"
    check_eq "renamed" "$(cat "$M/renamed")" small
}

# The same where the bucket encrypts unasked.
tx_default_not_readable() { # s3-long
    service_start --default-encryption kms
    mounted_with
    make_file "$T/big" $((part_size * 2 + 7))
    blind f
    oc faults '[]'
    remount
    check "content" cmp "$T/big" "$M/f"
}

# A service that does not copy encrypted objects in one request, as Ceph: by parts, or by mv itself.
tx_copy_not_implemented() { # s3 timeout=240
    service_start
    mounted_with "sse=kms:0001"
    mkdir "$M/d"
    make_file "$T/f" 100000
    cp "$T/f" "$M/f" || fail "cp"
    cp "$T/f" "$M/d/g" || fail "cp"
    oc faults '[{"operation":"CopyObject","count":-1,"status":501,"code":"NotImplemented"}]'
    check "rename" mv "$M/f" "$M/r"
    check_eq "by parts" "$(requests CopyPart)" 1
    check "directory" mv "$M/d" "$M/e"
    check_eq "names" "$(ls "$M")" $'e\nr'
    check "attributes" chmod 604 "$M/r"
    touch -d @1234567890 "$M/r"
    remount
    check_eq "attributes" "$(stat -c '%a %Y' "$M/r")" "604 1234567890"
    check "content" cmp "$T/f" "$M/r"
    check "content below" cmp "$T/f" "$M/e/g"
    check_eq "encryption" "$(oc head r | grep -c 'kms-key-id: 0001')" 1
}

get_sse() { getfattr --absolute-names --only-values -n user.obs.sse "$M/$1"; }
set_sse() { setfattr -n user.obs.sse -v "$2" "$M/$1"; }

# As a property: of a directory, for new files; of a file that is being written; of a stored one.
tx_property() { # s3-long timeout=240
    command -v setfattr >/dev/null || skip "setfattr is not installed"
    begin_tls
    tls_mount "sse_c_keys=$T/sse"
    mkdir "$M/d"
    check "of a directory" set_sse d c:a
    check_eq "of a directory" "$(get_sse d)" c:a
    mkdir "$M/d/sub"
    echo inherited >"$M/d/sub/f"
    check_eq "inherited" "$(get_sse d/sub/f)" c:a
    check_eq "stored with a" "$(stored_with d/sub/f "$T/sse/a")" inherited
    check "nearer" set_sse d/sub none
    echo plain >"$M/d/sub/g"
    check_eq "not encrypted" "$(oc get d/sub/g)" plain

    # a file that is being written, with an upload that was begun without it
    make_file "$T/big" $((part_size * 2 + 7))
    exec 7>"$M/big"
    cat "$T/big" >&7
    check "while it is written" set_sse big c:b
    exec 7>&-
    check "stored with b" cmp "$T/big" <(stored_with big "$T/raw_b")

    # stored: copied onto itself, open files go on
    exec 8<"$M/big"
    chmod 640 "$M/big"
    check "another key" set_sse big c:a
    check "stored with a" cmp "$T/big" <(stored_with big "$T/sse/a")
    check "by an open file" cmp "$T/big" /dev/fd/8
    exec 8<&-
    check "key of the service" set_sse big kms:0001
    check_eq "kms" "$(get_sse big)" kms:0001
    check "removed" setfattr -x user.obs.sse "$M/big"
    check "not encrypted" cmp "$T/big" <(oc get big)
    fails "No such attribute" get_sse big
    fails "Permission denied" set_sse big c:nobody
    fails "Invalid argument" set_sse big aes
    grep -q "there is no key 'nobody'" "$M/.obsmount/errors" || fail "errors does not say why"

    # what was said stays said
    tls_remount "sse=c:b,sse_c_keys=$T/sse"
    check "content" cmp "$T/big" "$M/big"
    check_eq "mode" "$(stat -c %a "$M/big")" 640
    check_eq "directory" "$(get_sse d)" c:a
    echo again >"$M/d/again"
    check_eq "with the directory's" "$(stored_with d/again "$T/sse/a")" again
    echo rewritten >"$M/d/sub/g"
    check_eq "none stays none" "$(oc get d/sub/g)" rewritten
    ln -s target "$M/d/link"
    check_eq "a link" "$(stored_with d/link "$T/sse/a")" target
}

# After a crash the parts that the service has are used again, under the same key.
tx_resume() {
    begin_tls
    tls_mount "sse=c:a,sse_c_keys=$T/sse,parallel=2"
    make_file "$T/f" $((part_size * 6 + 100))
    # the writer stops after four parts; the driver dies with them stored
    exec 7>"$M/f"
    head -c $((part_size * 4 + 100)) "$T/f" >&7
    local i
    for ((i = 0; i < 200; i++)); do
        [ "$(oc arrived UploadPart content-md5 | wc -l)" -lt 4 ] || break
        sleep 0.1
    done
    sleep 0.3
    kill_driver
    { exec 7>&-; } 2>/dev/null # for this one command only
    oc reset
    tls_mount "sse_c_keys=$T/sse,sse=c:a"
    cp "$T/f" "$M/f" || fail "cp"
    local sent
    sent=$(requests UploadPart)
    # the three that were missing, and those whose answers the driver had not seen
    [ "$sent" -le 5 ] || fail "$sent of 7 parts were sent again"
    tls_remount "sse_c_keys=$T/sse"
    check "content" cmp "$T/f" "$M/f"
    check_eq "no upload is left" "$(oc uploads)" ""
}

# What durability=stage has promised is stored after a crash, with the key and the attributes.
tx_resume_sealed() {
    begin_tls
    tls_mount "sse=c:b,sse_c_keys=$T/sse,durability=stage"
    make_file "$T/f" $((part_size * 3 + 100))
    oc faults '[{"operation":"UploadPart","skip":1,"count":-1,"delay_ms":3000},
                {"operation":"PutObject","count":-1,"stall":true}]'
    cp "$T/f" "$M/f" || fail "cp"
    echo small >"$M/small"
    chmod 640 "$M/f"
    local i
    for ((i = 0; i < 200; i++)); do # the small one is stored, and nobody was told
        [ -z "$(oc list small)" ] || break
        sleep 0.05
    done
    kill_driver
    oc faults '[]'
    tls_mount "sse_c_keys=$T/sse"
    for ((i = 0; i < 300; i++)); do
        [ -n "$(oc list f)" ] && [ -n "$(oc list small)" ] && break
        sleep 0.1
    done
    leave
    check "key" cmp "$T/f" <(stored_with f "$T/raw_b")
    check_eq "small" "$(stored_with small "$T/raw_b")" small
    tls_mount "sse_c_keys=$T/sse"
    check "content" cmp "$T/f" "$M/f"
    check_eq "mode" "$(stat -c %a "$M/f")" 640
    check_eq "nothing failed" "$(cat "$M/.obsmount/errors")" ""
}

# The answer to a single PUT was lost with the driver. Its ETag says nothing: the object is ours by its
# content.
tx_lost_answer() {
    begin_tls
    tls_mount "sse=c:b,sse_c_keys=$T/sse,durability=stage"
    sleep 2.1 # the service's clock moves on after the last answer
    oc faults '[{"operation":"PutObject","stall":true}]'
    echo small >"$M/small"
    local i
    for ((i = 0; i < 200; i++)); do
        [ -z "$(oc list small)" ] || break
        sleep 0.05
    done
    kill_driver
    oc faults '[]'
    for ((i = 0; i < 100; i++)); do # a request counts when it has ended
        [ "$(requests PutObject)" -lt 1 ] || break
        sleep 0.1
    done
    oc reset
    tls_mount "sse_c_keys=$T/sse"
    for ((i = 0; i < 200; i++)); do
        [ -n "$(ls "$T"/state/*/*.journal 2>/dev/null)" ] || break
        sleep 0.05
    done
    check_eq "uploads" "$(grep -c small "$M/.obsmount/uploads")" 0
    check_eq "nothing failed" "$(cat "$M/.obsmount/errors")" ""
    check_eq "content" "$(cat "$M/small")" small
    check_eq "sent again" "$(requests PutObject)" 0
}

. "$(dirname "$0")/lib.sh"
