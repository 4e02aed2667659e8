#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# sdk.sh - Huawei's Python SDK (esdk-obs-python) and a mount on one bucket; rules as tests/mount/lib.sh.

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# sdk.py with the SDK; then: signatures of OBS have arrived, and none of AWS.
sdk() {
    oc reset
    sdk_run sdk.py "$@"
    [ "$(oc signatures obs)" -gt 0 ] || fail "no request had an OBS signature"
    check_eq "AWS signatures" "$(oc signatures v2) $(oc signatures v4)" "0 0"
}

t_mount_reads_sdk_objects() {
    make_file "$T/f" 3000000
    sdk put dir/small "$T/f" mode=33184 mtime=1234567890.25 uid=77 gid=88
    drop_pages
    check "content" cmp "$T/f" "$M/dir/small"
    check_eq "attributes" "$(stat -c '%a %u %g %.2Y' "$M/dir/small")" "640 77 88 1234567890.25"
}

t_sdk_reads_small() {
    make_file "$T/f" 5000
    install -m 640 "$T/f" "$M/f"
    chown 77:88 "$M/f"
    touch -d @1234567890.25 "$M/f"
    leave
    mounted_with
    sdk get f "$T/got" mode=33184 uid=77 gid=88 mtime=1234567890.25
    check "content" cmp "$T/f" "$T/got"
}

t_sdk_reads_parts() {
    make_file "$T/f" $((part_size * 4 + 1234))
    mkdir "$M/a dir"
    cp "$T/f" "$M/a dir/ü+%"
    chmod 4711 "$M/a dir/ü+%"
    touch -d @1234567890.25 "$M/a dir/ü+%"
    leave
    mounted_with
    sdk get "a dir/ü+%" "$T/got" mode=35273 mtime=1234567890.25
    check "content" cmp "$T/f" "$T/got"
    sdk list "a dir/" "a dir/" "a dir/ü+%"
}

# The documentation's own example of a resumable upload: 5 tasks, parts of 10 MB, a checkpoint. Part 3 is
# refused at first; the second call sends only that one.
t_resumable_upload() {
    make_file "$T/f" $((45 * 1024 * 1024 + 7))
    sdk upload-fails up/large "$T/f"
    check_eq "visible after the failure" "$(oc list)" ""
    sdk upload up/large "$T/f"
    check_eq "parts of the second call" "$(requests UploadPart)" 1
    check_eq "ETag" "$(stored_etag up/large)" "$(oc etag "$T/f" $((10 * 1024 * 1024)))"
    drop_pages
    check "the mount reads it" cmp "$T/f" "$M/up/large"
}

# The SDK and the mount state the same CRC-64 of a file in parts, each in its own pieces.
t_crc64() {
    leave
    mounted_with crc64=on
    make_file "$T/f" $((12 * 1024 * 1024 + 7))
    cp "$T/f" "$M/f" || fail "cp"
    ours=$(oc sent CompleteMultipartUpload f x-obs-checksum-crc64ecma)
    theirs=$(sdk upload-crc64 g "$T/f")
    check_eq "CRC-64" "$ours" "$theirs"
    [[ $ours =~ ^[0-9]+$ ]] || fail "no CRC-64 was sent: $ours"
}

# Every parameter of uploadFile: what the SDK sends is taken, read back by it, and seen in the mount.
t_upload_with_everything() {
    make_file "$T/f" $((11 * 1024 * 1024 + 3))
    sdk upload-all up/all.bin "$T/f" "$T/record"
    drop_pages
    check "content" cmp "$T/f" "$M/up/all.bin"
    [ ! -e "$T/record" ] || fail "the SDK has left its record"
}

# The example of the documentation as it stands there: refused in the middle, and run again.
tx_example_of_the_documentation() {
    service_start --bucket examplebucket
    export OBS_BUCKET=examplebucket
    make_file "$T/localfile" $((45 * 1024 * 1024 + 7))
    mnt examplebucket "$M" || fail "the bucket cannot be mounted"
    need_sdk
    cd "$T" || fail "cd"
    oc faults '[{"operation":"UploadPart","query":"*partNumber=3*","count":-1,"status":500}]'
    sdk example "$top/tests/interop/example.txt" >"$T/example.out"
    check "it says so" grep -qx 'Upload File Failed' "$T/example.out"
    check_eq "nothing is visible" "$(ls -A "$M")" ""
    oc faults '[]'
    sdk example "$top/tests/interop/example.txt" >"$T/example.out"
    check_eq "it succeeds" "$(head -n 1 "$T/example.out")" "Upload File Succeeded"
    check "with a request id" grep -q '^requestId: [0-9A-Za-z]' "$T/example.out"
    check_eq "parts of the second call" "$(requests UploadPart)" 1
    check_eq "ETag" "$(stored_etag objectname)" "$(oc etag "$T/localfile" $((10 * 1024 * 1024)))"
    [ ! -e "$T/localfile.upload_record" ] || fail "the SDK has left its record"
    cd /
    sleep 5.2 # the mount has seen an empty directory
    check "the mount reads it" cmp "$T/localfile" "$M/objectname"
}

# The SDK's task can be paused: no part goes out then, and none goes out twice.
t_paused_and_resumed() {
    make_file "$T/f" $((30 * 1024 * 1024))
    need_sdk
    oc faults '[{"operation":"UploadPart","count":-1,"rate":2000000}]'
    sdk upload-paused up/paused "$T/f" "$T/record"
    check_eq "parts sent" "$(requests UploadPart)" 10
    check_eq "one upload" "$(requests InitiateMultipartUpload)" 1
    drop_pages
    check "the mount reads it" cmp "$T/f" "$M/up/paused"
}

t_paused_and_cancelled() {
    make_file "$T/f" $((30 * 1024 * 1024))
    need_sdk
    oc faults '[{"operation":"UploadPart","count":-1,"rate":2000000}]'
    sdk upload-cancelled up/cancelled "$T/f" "$T/record"
    check_eq "uploads left" "$(oc uploads)" ""
    check "aborted" [ "$(requests AbortMultipartUpload)" -ge 1 ]
    [ ! -e "$T/record" ] || fail "the SDK has left its record"
    check_eq "in the mount" "$(ls -A "$M")" ""
}

# The SDK is killed when its record has three parts, and called again: it sends only the rest.
t_killed_and_called_again() {
    need_sdk
    make_file "$T/f" $((30 * 1024 * 1024))
    oc faults '[{"operation":"UploadPart","query":"*partNumber=4*","count":-1,"stall":true}]'
    OBS_PORT=$OBS_PORT OBS_KEYS=$T/keys "$PYTHON" "$top/tests/interop/sdk.py" upload-killed up/killed "$T/f" \
        "$T/record" >"$T/killed.out" 2>&1 &
    local pid=$! stored
    stored=$(python3 - "$T/record" <<'PY'
import json, sys, time
for i in range(1200):
    try:
        n = sum(bool(p["isCompleted"]) for p in json.load(open(sys.argv[1]))["uploadParts"])
        if n >= 3:
            print(n)
            break
    except (OSError, ValueError, KeyError):
        pass
    time.sleep(0.05)
PY
    )
    kill -9 "$pid"
    wait "$pid" 2>/dev/null
    check "parts stand in the record" [ "${stored:-0}" -ge 3 ]
    oc faults '[]'
    sdk upload-killed up/killed "$T/f" "$T/record"
    check_eq "parts of the second call" "$(requests UploadPart)" $((10 - stored))
    drop_pages
    check "the mount reads it" cmp "$T/f" "$M/up/killed"
}

# The SDK deletes and overwrites behind the mount.
t_sdk_changes_are_seen() {
    echo old >"$M/f"
    echo old >"$M/g"
    printf 'by the SDK' >"$T/f"
    sdk put f "$T/f"
    sdk delete g
    sleep 5.2
    check_eq "content" "$(cat "$M/f")" "by the SDK"
    fails "No such file" cat "$M/g"
}

. "$(dirname "${BASH_SOURCE[0]}")/../mount/lib.sh"
