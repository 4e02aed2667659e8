#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What can be wrong with a mount command: one clear sentence and the exit code of mount(8) for each.
. "$(dirname "$0")/../lib/common.sh"
service_start
mkdir -p "$T/mnt"
base=$(base_options)

# refused CODE TEXT ARG...: obsmount ARG... says one line with TEXT and exits with CODE
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
    ! grep -q " $T/mnt fuse" /proc/self/mounts || fail "'$*' left a mount behind"
}

refused 1 "unknown option 'endpont': did you mean 'endpoint'?" bkt "$T/mnt" -o "endpont=x,$base"
refused 1 "mount point is missing" bkt -o "$base"
refused 1 "no endpoint" bkt "$T/mnt"
refused 1 "a bucket name has" Bkt "$T/mnt" -o "$base"
refused 1 "must lie within 100K..5G" bkt "$T/mnt" -o "$base,part_size=1"
refused 32 "does not exist" bkt "$T/nowhere" -o "$base"
refused 32 "is not a directory" bkt "$T/keys" -o "$base"
refused 32 "no such bucket" other "$T/mnt" -o "$base"

(umask 077 && echo "testaccesskey:wrongsecret" >"$T/wrong" && echo "nobody:testsecretkey" >"$T/unknown")
refused 32 "key" bkt "$T/mnt" -o "$base,credential_file=$T/wrong"
refused 32 "key" bkt "$T/mnt" -o "$base,credential_file=$T/unknown"
refused 32 "$T/none" bkt "$T/mnt" -o "$base,credential_file=$T/none"
cp "$T/keys" "$T/loose" && chmod 644 "$T/loose"
refused 32 "$T/loose" bkt "$T/mnt" -o "$base,credential_file=$T/loose"
refused 32 "no access key" bkt "$T/mnt" -o "endpoint=$OBS_URL,state_dir=$T/state"
refused 32 "127.0.0.1" bkt "$T/mnt" -o "$base,endpoint=http://127.0.0.1:1"
refused 2 "log file" bkt "$T/mnt" -o "$base,log_file=$T/none/log"

# no secret was said to anyone
! grep -rqs "testsecretkey\|wrongsecret" "$T/mount.log" || fail "a secret key stands in the log"

# a second mount at the same place
check "mount" mnt bkt "$T/mnt"
out=$("$OBSMOUNT" bkt "$T/mnt" -o "$base" 2>&1)
check_eq "exit code of a second mount" $? 32
case $out in *"'bkt' is mounted at '$T/mnt' already"*) ;; *) fail "second mount: $out" ;; esac

# --check says the same step by step
check "check" "$OBSMOUNT" --check bkt -o "$base" >"$T/check.out"
check_eq "failures of --check" "$(grep -c FAIL "$T/check.out")" 0
check_eq "steps of --check" "$(grep -c '^ok' "$T/check.out")" 6
"$OBSMOUNT" --check bkt -o "$base,credential_file=$T/wrong" >"$T/check.out" 2>&1
check_eq "exit code of --check with a wrong key" $? 32
check "advice" grep -q '^FAIL  keys' "$T/check.out"
"$OBSMOUNT" --check other -o "$base" >"$T/check.out" 2>&1 && fail "--check of a missing bucket succeeded"
check "advice" grep -q '^FAIL  bucket' "$T/check.out"
check "unmount" umnt "$T/mnt"
