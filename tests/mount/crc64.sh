#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# crc64.sh - crc64=on: the CRC-64 that goes along with data, and what a wrong one leads to.
# obs-local refuses (BadDigest) one that does not fit the data, also that of a whole upload.

field=x-obs-checksum-crc64ecma

# The CRC-64 of a file, computed bit by bit and by nobody's code but this.
crc64_of() {
    python3 - "$1" <<'END'
import sys
table = []
for v in range(256):
    for _ in range(8):
        v = v >> 1 ^ (0xc96c5795d7870f42 if v & 1 else 0)
    table.append(v)
crc = 2**64 - 1
for b in open(sys.argv[1], "rb").read():
    crc = crc >> 8 ^ table[(crc ^ b) & 255]
print(crc ^ 2**64 - 1)
END
}

# How many requests of OP for KEY had a CRC-64.
with_crc64() { oc sent-all "$1" "$2" $field | grep -c '^[0-9][0-9]*$'; }

faults() { oc faults "$1"; }

tx_crc64_sent() {
    service_start
    mounted_with crc64=on
    make_file "$T/src" $((part_size * 2 + 77))
    cp "$T/src" "$M/big" || fail "cp"
    check_eq "parts with one" "$(with_crc64 UploadPart big)" 3
    check_eq "the one of the whole" "$(oc sent CompleteMultipartUpload big $field)" "$(crc64_of "$T/src")"
    check_eq "what the service says" "$(oc head big | sed -n "s/^$field: //Ip")" "$(crc64_of "$T/src")"
    echo small >"$M/small"
    : >"$M/empty"
    remount crc64=on # an empty file is stored a moment later
    check_eq "a small file's" "$(oc sent PutObject small $field)" "$(crc64_of <(echo small))"
    check_eq "an empty file's" "$(oc sent PutObject empty $field)" 0
    cp "$M/big" "$M/big2" || fail "cp within the mount"
    oc get big2 | cmp - "$T/src" || fail "the copy differs"
    check "no property is made of it" no_property
    leave
}

no_property() { ! getfattr -d -m - "$M/big" 2>/dev/null | grep -i crc; }

t_crc64_off() {
    make_file "$M/f" $((part_size + 1))
    check_eq "not asked for, not sent" "$(with_crc64 UploadPart f) $(with_crc64 CompleteMultipartUpload f)" "0 0"
}

# The service says that it has stored something else: sent again, then an error; nothing is completed.
tx_crc64_wrong_part() {
    service_start
    mounted_with crc64=on
    faults '[{"operation":"UploadPart","wrong_crc64":true}]'
    make_file "$T/src" $((part_size + 5))
    cp "$T/src" "$M/f" || fail "cp"
    check_eq "requests for two parts" "$(requests UploadPart)" 3
    oc get f | cmp - "$T/src" || fail "it differs"
    faults '[{"operation":"*Part","count":-1,"wrong_crc64":true},{"operation":"PutObject","count":-1,"wrong_crc64":true}]'
    ! cp "$T/src" "$M/g" 2>"$T/err" || fail "a wrong CRC-64 counts as stored"
    grep -q "Input/output error" "$T/err" || fail "$(cat "$T/err")"
    echo small >"$T/small"
    ! cp "$T/small" "$M/h" 2>/dev/null || fail "a wrong CRC-64 of a single PUT counts as stored"
    grep -q "CRC-64 mismatch" "$T/mount.log" || fail "the log does not say why"
    check_eq "completed" "$(requests CompleteMultipartUpload)" 1
    check_eq "it does not stand there" "$(oc list g)" ""
    faults '[]'
    leave
}

tx_crc64_wrong_whole() {
    service_start
    mounted_with crc64=on
    make_file "$T/src" $((part_size + 5))
    faults '[{"operation":"CompleteMultipartUpload","wrong_crc64":true}]'
    cp "$T/src" "$M/f" || fail "cp"
    check_eq "sent twice" "$(requests UploadPart) $(requests CompleteMultipartUpload)" "4 2"
    oc get f | cmp - "$T/src" || fail "it differs"
    oc reset
    faults '[{"operation":"CompleteMultipartUpload","status":400,"code":"BadDigest"}]'
    cp "$T/src" "$M/f" || fail "cp after BadDigest"
    faults '[{"operation":"CompleteMultipartUpload","count":-1,"status":400,"code":"BadDigest"}]'
    ! cp "$T/src" "$M/g" 2>/dev/null || fail "what the service refuses counts as stored"
    check_eq "it does not stand there" "$(oc list g)" ""
    faults '[]'
    leave
}

# The service copies what did not change: of that no CRC-64 is known, and Complete goes without.
tx_crc64_copied() {
    service_start
    mounted_with crc64=on
    make_file "$T/src" $((part_size * 3))
    cp "$T/src" "$M/f" || fail "cp"
    oc reset
    echo more | tee -a "$T/src" >>"$M/f" || fail "append"
    check "parts are copied" test "$(requests CopyPart)" -ge 2
    check_eq "the part that was sent" "$(with_crc64 UploadPart f)" "$(requests UploadPart)"
    check_eq "the whole" "$(oc sent CompleteMultipartUpload f $field)" "-"
    oc get f | cmp - "$T/src" || fail "it differs"
    leave
}

# The parts' values outlive the driver: Complete after a crash has the whole's, though only one part
# was sent by the driver that completes.
tx_crc64_after_crash() {
    service_start
    mounted_with crc64=on,durability=stage
    make_file "$T/src" $((part_size * 4 - 9))
    faults '[{"operation":"UploadPart","skip":3,"count":-1,"status":503},{"operation":"CompleteMultipartUpload","count":-1,"status":503}]'
    cp "$T/src" "$M/f" || fail "cp"
    for ((i = 0; i < 300; i++)); do
        [ "$(oc log UploadPart | awk -F '\t' '$3 == 200' | grep -c .)" -lt 3 ] || break
        sleep 0.1
    done
    kill_driver
    faults '[]'
    oc reset
    mounted_with crc64=on,durability=stage
    leave # waits until it is stored
    check_eq "sent again" "$(requests UploadPart)" 1
    check_eq "the whole's" "$(oc sent CompleteMultipartUpload f $field)" "$(crc64_of "$T/src")"
    oc get f | cmp - "$T/src" || fail "it differs"
}

tx_crc64_s3_refused() {
    service_start
    ! mnt bkt "$M" "endpoint=http://127.0.0.1:$OBS_PORT,dialect=s3,part_size=5M,crc64=on" 2>"$T/err" ||
        fail "accepted with dialect=s3"
    grep -q "option 'crc64'" "$T/err" || fail "$(cat "$T/err")"
}

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
