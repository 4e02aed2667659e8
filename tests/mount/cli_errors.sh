#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# cli_errors.sh - what can be wrong with a mount command: one clear sentence and mount(8)'s exit code.

# refused CODE TEXT ARG...: obsmount ARG... says one line with TEXT, exits with CODE, mounts nothing
refused() {
    local code=$1 text=$2 out got=0
    shift 2
    out=$(run_limited 60 "$OBSMOUNT" "$@" 2>&1) || got=$?
    check_eq "exit code of '$*' ($out)" "$got" "$code"
    case $out in
    *"$text"*) ;;
    *) fail "expected '$text', got '$out'" ;;
    esac
    check_eq "lines said by '$*'" "$(printf '%s\n' "$out" | wc -l)" 1
    ! grep -q " $M fuse" /proc/self/mounts || fail "'$*' left a mount behind"
}

ready() {
    service_start
    mkdir -p "$M"
    base=$(base_options)
}

tx_usage() {
    ready
    refused 1 "unknown option 'endpont': did you mean 'endpoint'?" bkt "$M" -o "endpont=x,$base"
    refused 1 "mount point is missing" bkt -o "$base"
    refused 1 "no endpoint" bkt "$M"
    refused 1 "a bucket name has" Bkt "$M" -o "$base"
    refused 1 "must lie within 100K..5G" bkt "$M" -o "$base,part_size=1"
    refused 2 "log file" bkt "$M" -o "$base,log_file=$T/none/log"
}

tx_mount_points() {
    ready
    refused 32 "does not exist" bkt "$T/nowhere" -o "$base"
    refused 32 "is not a directory" bkt "$T/keys" -o "$base"
    check "mount" mnt bkt "$M"
    local out got=0
    out=$("$OBSMOUNT" bkt "$M" -o "$base" 2>&1) || got=$?
    check_eq "exit code of a second mount" "$got" 32
    case $out in
    *"'bkt' is mounted at '$M' already"*) ;;
    *) fail "second mount: $out" ;;
    esac
}

tx_service() {
    ready
    refused 32 "no such bucket" other "$M" -o "$base"
    refused 32 "127.0.0.1" bkt "$M" -o "$base,endpoint=http://127.0.0.1:1"
}

tx_keys() {
    ready
    (umask 077 && echo "testaccesskey:wrongsecret" >"$T/wrong" && echo "nobody:testsecretkey" >"$T/unknown")
    refused 32 "key" bkt "$M" -o "$base,credential_file=$T/wrong"
    refused 32 "key" bkt "$M" -o "$base,credential_file=$T/unknown"
    refused 32 "$T/none" bkt "$M" -o "$base,credential_file=$T/none"
    cp "$T/keys" "$T/loose" && chmod 644 "$T/loose"
    refused 32 "$T/loose" bkt "$M" -o "$base,credential_file=$T/loose"
    refused 32 "no access key" bkt "$M" -o "endpoint=$OBS_URL,state_dir=$T/state"
    ! grep -qs "testsecretkey\|wrongsecret" "$T/mount.log" || fail "a secret key stands in the log"
}

# --check says the same step by step
tx_check_command() {
    ready
    (umask 077 && echo "testaccesskey:wrongsecret" >"$T/wrong")
    "$OBSMOUNT" --check bkt -o "$base" >"$T/check.out" || fail "--check: $(cat "$T/check.out")"
    check_eq "failures of --check" "$(grep -c FAIL "$T/check.out")" 0
    check_eq "steps of --check" "$(grep -c '^ok' "$T/check.out")" 6
    local got=0
    "$OBSMOUNT" --check bkt -o "$base,credential_file=$T/wrong" >"$T/check.out" 2>&1 || got=$?
    check_eq "exit code of --check with a wrong key" "$got" 32
    check "advice" grep -q '^FAIL  keys' "$T/check.out"
    ! "$OBSMOUNT" --check other -o "$base" >"$T/check.out" 2>&1 || fail "--check of a missing bucket succeeded"
    check "advice" grep -q '^FAIL  bucket' "$T/check.out"
    ! "$OBSMOUNT" --check bkt -o "$base,endpoint=http://127.0.0.1:1" >"$T/check.out" 2>&1 ||
        fail "--check without a service succeeded"
    check "advice" grep -q '^FAIL  address' "$T/check.out"
}

. "$(dirname "$0")/lib.sh"
