#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# start.sh - mounting, what is in its way, and leaving.

# The mount must fail with this exit code and one sentence that holds TEXT.
refused() { # CODE TEXT [ARG]... (of obsmount)
    local code=$1 text=$2 out status
    shift 2
    out=$(run_limited 60 "$OBSMOUNT" "$@" 2>&1)
    status=$?
    check_eq "exit code of: $* ($out)" "$status" "$code"
    check_eq "lines of '$out'" "$(printf '%s\n' "$out" | wc -l)" 1
    case $out in
    *"$text"*) ;;
    *) fail "expected '$text', got: $out" ;;
    esac
    case $out in
    *wrongsecret*) fail "a secret is told: $out" ;;
    esac
    ! grep -q " $M " /proc/self/mounts || fail "something is mounted"
}

options() {
    mkdir -p "$M"
    echo "endpoint=http://localhost:$OBS_PORT,credential_file=$T/keys,state_dir=$T/state,log_file=$T/mount.log${1:+,$1}"
}

tx_wrong_secret() {
    service_start
    (umask 077 && echo "testaccesskey:wrongsecret" >"$T/wrong")
    refused 32 "SignatureDoesNotMatch" bkt "$M" -o "$(options "credential_file=$T/wrong")"
}

tx_unknown_key() {
    service_start
    (umask 077 && echo "nobody:wrongsecret" >"$T/wrong")
    refused 32 "InvalidAccessKeyId" bkt "$M" -o "$(options "credential_file=$T/wrong")"
}

tx_missing_bucket() {
    service_start
    refused 32 "other" other "$M" -o "$(options)"
}

tx_endpoint_is_down() {
    service_start
    local port=$OBS_PORT
    service_stop
    OBS_PORT=$port refused 32 "$port" bkt "$M" -o "$(OBS_PORT=$port options)"
}

tx_host_unknown() {
    service_start
    refused 32 "no.such.host.invalid" bkt "$M" -o "$(options "endpoint=http://no.such.host.invalid")"
}

tx_unknown_option() {
    service_start
    refused 1 "part_size" bkt "$M" -o "$(options partsize=5M)"
}

tx_bad_value() {
    service_start
    refused 1 "part_size" bkt "$M" -o "$(options part_size=1K)"
    refused 1 "meta_ttl" bkt "$M" -o "$(options meta_ttl=soon)"
    refused 1 "dialect" bkt "$M" -o "$(options dialect=swift)"
}

tx_no_arguments() {
    refused 1 ""
    refused 1 "" bkt
}

tx_bad_bucket_name() {
    service_start
    refused 1 "Bad_Name" Bad_Name "$M" -o "$(options)"
}

tx_missing_mount_point() {
    service_start
    refused 32 "$T/none" bkt "$T/none" -o "$(options)"
    echo x >"$T/file"
    refused 32 "$T/file" bkt "$T/file" -o "$(options)"
}

tx_missing_credential_file() {
    service_start
    refused 32 "$T/none" bkt "$M" -o "$(options "credential_file=$T/none")"
}

tx_loose_credential_file() {
    service_start
    cp "$T/keys" "$T/loose"
    chmod 640 "$T/loose"
    refused 32 "$T/loose" bkt "$M" -o "$(options "credential_file=$T/loose")"
}

tx_bad_credential_file() {
    service_start
    (umask 077 && echo "nothing of use" >"$T/bad")
    refused 32 "$T/bad" bkt "$M" -o "$(options "credential_file=$T/bad")"
}

# The client learns the service's time from its answer.
tx_clock_is_wrong() { # s3-long
    service_start --clock-offset 7200
    mounted_with
    echo x >"$M/f"
    drop_pages
    check_eq "content" "$(cat "$M/f")" x
}

t_mounted_already() {
    local out
    out=$(run_limited 30 "$OBSMOUNT" bkt "$M" -o "$(options)" 2>&1) && fail "mounted twice"
    case $out in
    *already*) ;;
    *) fail "what it says: $out" ;;
    esac
}

# A second driver on the same state directory is refused, and names the first.
t_second_driver() {
    local out
    mkdir "$T/m2"
    out=$(run_limited 30 "$OBSMOUNT" bkt "$T/m2" -o "$(options)" 2>&1) && fail "mounted twice"
    case $out in
    *"$driver"*) ;;
    *) fail "the first driver ($driver) is not named: $out" ;;
    esac
    # reading only needs no state
    mnt bkt "$T/m2" "ro,log_file=$T/mount2.log" || fail "a second mount, read only"
    echo x >"$M/f"
    check_eq "content" "$(cat "$T/m2/f")" x
}

# The parent returns when the mount answers; nothing of the driver holds the caller's pipe.
tx_parent_returns() {
    service_start
    local out
    mkdir "$M"
    mounted+=("$M")
    out=$(run_limited 30 "$OBSMOUNT" bkt "$M" -o "$(options)" 2>&1) || fail "the mount: $out"
    check_eq "output" "$out" ""
    check "it is mounted" findmnt -n "$M" >/dev/null
    check_eq "source" "$(findmnt -no SOURCE,FSTYPE "$M" | xargs)" "bkt fuse.obsmount"
}

tx_foreground() {
    service_start
    mkdir "$M"
    mounted+=("$M")
    (exec "$OBSMOUNT" bkt "$M" -f -o "$(options "log_file=$T/mount.log")") >"$T/fg.log" 2>&1 &
    local pid=$! i
    for ((i = 0; i < 400; i++)); do
        ! grep -q " $M fuse" /proc/self/mounts || break
        sleep 0.05
    done
    echo x >"$M/f"
    kill -TERM "$pid"
    wait_gone "$pid" 20 || fail "it does not leave on SIGTERM"
    wait "$pid"
    check_eq "exit code" "$?" 0
    ! grep -q " $M fuse" /proc/self/mounts || fail "it is mounted still"
    check_eq "content" "$(oc get f)" x
}

# SIGTERM: everything that was closed is stored, the mount is gone.
t_sigterm_leaves_cleanly() { # s3
    make_file "$T/big" $((part_size * 3))
    cp "$T/big" "$M/big"
    echo held >"$M/.held.Ab12Cd"
    : >"$M/empty"
    touch -d @1234 "$M/big"
    local pid=$driver
    kill -TERM "$pid"
    wait_gone "$pid" 25 || fail "it does not leave"
    ! grep -q " $M fuse" /proc/self/mounts || fail "it is mounted still"
    check_eq "objects" "$(oc list | cut -f 1 | xargs)" ".held.Ab12Cd big empty"
    oc get big >"$T/got"
    check "content" cmp "$T/big" "$T/got"
    mounted_with
    check_eq "time" "$(stat -c %Y "$M/big")" 1234
}

# In use: umount says busy, the mount goes on; umount -l works.
t_umount_busy() {
    exec 5>"$M/f"
    ! umnt "$M" 2>/dev/null || fail "a busy mount was unmounted"
    echo x >&5
    exec 5>&-
    check_eq "content" "$(oc get f)" x
}

t_log_has_no_secret() { # s3
    echo x >"$M/f"
    cat "$M/f" >/dev/null
    leave
    ! grep -q testsecretkey "$T/mount.log" || fail "the secret key is in the log"
    ! grep -qi 'authorization' "$T/mount.log" || fail "signatures are in the log"
    mounted_with
    ! tr '\0' '\n' <"/proc/$driver/cmdline" | grep -q testsecretkey || fail "it is in the command line"
    ! findmnt -n "$M" | grep -q testsecretkey || fail "it is in the list of mounts"
}

# The driver is killed: the mount point says so, and can be mounted again after umount -l; what was
# closed is there.
t_killed_driver() { # s3
    make_file "$T/big" $((part_size * 2 + 3))
    cp "$T/big" "$M/big"
    kill -9 "$driver"
    wait_gone "$driver" 10
    ls "$M" 2>/dev/null # the first answer may be that the connection was aborted
    fails "not connected" ls "$M"
    umount -i -l "$M"
    mounted_with
    check "content" cmp "$T/big" "$M/big"
}

# Two buckets by one service, each at its place.
tx_two_buckets() {
    service_start --bucket second
    mounted_with
    mnt second "$T/m2" "log_file=$T/mount2.log" || fail "the second"
    echo 1 >"$M/f"
    echo 2 >"$T/m2/f"
    check_eq "first" "$(oc get f)" 1
    check_eq "second" "$(OBS_BUCKET=second oc get f)" 2
}

# Everything about https: the certificate is checked, and the service works.
tx_https() { # s3
    command -v openssl >/dev/null || skip "openssl is not installed"
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=localhost" \
        -addext "subjectAltName=DNS:localhost,DNS:bkt.localhost,IP:127.0.0.1" \
        -keyout "$T/key.pem" -out "$T/cert.pem" 2>/dev/null || fail "openssl"
    service_start --tls "$T/cert.pem" "$T/key.pem"
    local host=localhost
    [ "$dialect" = obs ] || host=127.0.0.1
    mkdir "$M"
    refused 32 "certificate" bkt "$M" -o "$(options "endpoint=https://$host:$OBS_PORT,dialect=$dialect")"
    mnt bkt "$M" "endpoint=https://$host:$OBS_PORT,dialect=$dialect,ca_file=$T/cert.pem,part_size=$part_size" ||
        fail "the mount"
    make_file "$T/f" $((part_size * 2 + 5))
    cp "$T/f" "$M/f"
    leave
    mnt bkt "$M" "endpoint=https://$host:$OBS_PORT,dialect=$dialect,ca_file=$T/cert.pem" || fail "the mount"
    check "content" cmp "$T/f" "$M/f"
}

. "$(dirname "$0")/lib.sh"
