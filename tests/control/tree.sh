#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# tree.sh - what is in the control directory, who may use it, what its files say.

t_found_by_name_not_listed() {
    check_eq "the root's listing" "$(ls -A "$M")" ""
    check_eq "the directory" "$(stat -c '%F %a %u' "$M/.obsmount")" "directory 700 $(id -u)"
    check_eq "its entries" "$(ls -A "$M/.obsmount" | xargs)" \
        "README config ctl dli errors modelarts stats uploads uploads.json version"
    check_eq "dli" "$(ls "$M/.obsmount/dli" | xargs)" "files jars pyfiles"
    check_eq "modelarts" "$(ls "$M/.obsmount/modelarts" | xargs)" "data-annotations datasets"
    check_eq "modes" "$(stat -c %a "$M/.obsmount/stats" "$M/.obsmount/ctl" | xargs)" "400 600"
    check_eq "find goes through it" "$(find "$M/.obsmount" | wc -l)" 16
    check_eq "the bucket" "$(oc list)" ""
}

t_nothing_can_be_made_or_removed() {
    local c=$M/.obsmount
    fails "File exists" mkdir "$c"
    fails "not permitted" mkdir "$c/new"
    fails "not permitted" rmdir "$c/dli"
    fails "not permitted" rm "$c/stats"
    fails "not permitted" mv "$c/stats" "$M/stats"
    fails "not permitted" mv "$c" "$M/other"
    fails "not permitted" ln -s target "$c/link"
    fails "not permitted" chmod 644 "$c/stats"
    fails "No such file" cat "$c/nothing"
    echo x >"$M/f"
    fails "not permitted" mv "$M/f" "$c/f"
    mkdir "$M/d"
    fails "not permitted" mv -T "$M/d" "$c"
    fails "ermission denied" sh -c "echo x 2>&1 >>$c/version"
    check_eq "what is in the bucket" "$(oc list | cut -f 1 | xargs)" "d/ f"
}

# A name below the root of the mount is the users' own.
t_name_is_free_elsewhere() {
    mkdir -p "$M/d/.obsmount"
    echo x >"$M/d/.obsmount/stats"
    check_eq "content" "$(oc get d/.obsmount/stats)" x
}

t_object_of_that_name_is_hidden() {
    echo x | oc put .obsmount/stats >/dev/null
    echo x | oc put other >/dev/null
    drop_pages
    check_eq "the root's listing" "$(ls -A "$M")" other
    check "the control file is read" grep -q obsmount_uptime_seconds "$M/.obsmount/stats"
}

tx_option_renames_it() {
    service_start
    mounted_with control_dir=_ctl
    check_eq "version" "$(cut -d ' ' -f 1 "$M/_ctl/version")" obsmount
    fails "No such file" ls "$M/.obsmount"
}

tx_option_none() {
    service_start
    mounted_with control_dir=none
    fails "No such file" ls "$M/.obsmount"
    check "the name is free" mkdir "$M/.obsmount"
    check "also none" mkdir "$M/none"
    check_eq "the bucket" "$(oc list | cut -f 1 | xargs)" ".obsmount/ none/"
}

tx_strangers_are_refused() {
    id nobody >/dev/null || skip "there is no user nobody"
    command -v setpriv >/dev/null || skip "setpriv is not installed"
    local nobody="setpriv --reuid=nobody --clear-groups"
    service_start
    mounted_with allow_other,umask=000
    chmod 755 "$T" "$M"
    check "the mount is open to all" $nobody ls "$M"
    fails "ermission denied" $nobody ls "$M/.obsmount"
    fails "ermission denied" $nobody cat "$M/.obsmount/stats"
    fails "ermission denied" $nobody sh -c "exec 2>&1; echo drain >$M/.obsmount/ctl"
    leave
    mounted_with allow_other,umask=000,default_permissions=off
    fails "ermission denied" $nobody cat "$M/.obsmount/stats"
    fails "ermission denied" $nobody ls "$M/.obsmount/dli"
    fails "ermission denied" $nobody stat "$M/.obsmount/dli"
    check "its user may" cat "$M/.obsmount/stats" >/dev/null
}

t_files_can_be_copied_and_searched() {
    check "cp" cp "$M/.obsmount/config" "$T/config"
    check "an option" grep -q "^part_size=1M$\|^part_size=1048576$" "$T/config"
    check_eq "version" "$(cat "$M/.obsmount/version")" "$("$OBSMOUNT" --version | cut -d ' ' -f 1-2)"
    check "README" grep -q 'dli/jars/GROUP' "$M/.obsmount/README"
    check "python reads it" python3 -c 'import sys; sys.exit(not open(sys.argv[1]).read())' \
        "$M/.obsmount/stats"
    check_eq "dd" "$(dd if="$M/.obsmount/version" bs=4 count=2 2>/dev/null)" obsmount
}

t_stats_count() {
    local before after
    count() { sed -n 's/^obsmount_requests_total{operation="PUT"} //p' "$M/.obsmount/stats"; }
    before=$(count)
    echo x >"$M/f"
    after=$(count)
    check_eq "PUTs" $((after - before)) 1
    check_eq "every line has a value" "$(grep -cvE '^(#.*|[a-z_]+(\{[a-z]+="[A-Za-z]+"\})? [0-9.]+)$' \
        "$M/.obsmount/stats")" 0
}

t_errors_say_why() {
    check_eq "at first" "$(cat "$M/.obsmount/errors")" ""
    oc faults '[{"operation":"PutObject","key":"bad","count":-1,"status":403,"code":"AccessDenied","message":"no right"}]'
    mkdir "$T/d"
    echo x >"$T/d/bad"
    echo x >"$T/d/good"
    fails "ermission denied" cp -r "$T/d/bad" "$T/d/good" "$M/"
    check_eq "the rest is stored" "$(oc get good)" x
    check "path, errno, status, code" grep -q \
        ' publish EACCES path="/bad" http_status=403 error_code="AccessDenied" error_msg=".*" request_id=' \
        "$M/.obsmount/errors"
    oc faults '[]'
}

# A folder with one file that cannot be stored: cp says which, `errors` why, the rest is stored.
t_folder_upload_reports_each_failure() {
    local i
    oc faults '[{"operation":"PutObject","key":"dir1/sdk/bad","count":-1,"status":403,"code":"AccessDenied","message":"no right"}]'
    mkdir -p "$T/sdk/sub" "$M/dir1"
    for i in 1 2 3 bad sub/4; do echo "$i" >"$T/sdk/$i"; done
    fails "dir1/sdk/bad': Permission denied" cp -r "$T/sdk" "$M/dir1/"
    check "why" grep -q 'EACCES path="/dir1/sdk/bad" http_status=403 error_code="AccessDenied" error_msg=".*no right' \
        "$M/.obsmount/errors"
    check_eq "failures" "$(wc -l <"$M/.obsmount/errors")" 1
    check_eq "the rest" "$(oc list dir1/sdk/ | cut -f 1 | xargs)" \
        "dir1/sdk/ dir1/sdk/1 dir1/sdk/2 dir1/sdk/3 dir1/sdk/sub/ dir1/sdk/sub/4"
    oc faults '[]'
}

# Keys, a password, the token that it gave, a header that may be one: nowhere to be seen.
tx_secrets_are_nowhere() {
    service_start
    python3 - "$OBS_PORT" <<'PY' || fail "the user"
import http.client, sys
c = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=20)
c.request("POST", "/-/cloud", '{"config":{"users":[{"name":"ann","domain":"org","password":"very-secret-word"}]}}')
sys.exit(c.getresponse().status != 200)
PY
    (umask 077 && echo very-secret-word >"$T/password")
    local at=http://127.0.0.1:$OBS_PORT file
    mounted_with "region=local,dli_endpoint=$at,modelarts_endpoint=$at,iam_endpoint=$at,iam_user=ann,iam_domain=org,iam_password_file=$T/password,header=x-obs-meta-key:header-secret"
    echo x >"$M/a.py"
    check "a command with a token" bash -c "echo a.py >$M/.obsmount/dli/files/g"
    check "and one that fails" bash -c "! echo missing >$M/.obsmount/dli/files/g" 2>/dev/null
    check_eq "a token was given" "$(oc requests IamCreateToken)" 1
    printf '%s\n' testsecretkey very-secret-word "MII[0-9A-Za-z]{20}" >"$T/tokens"
    for file in $(find "$M/.obsmount" -type f) /proc/mounts "/proc/$driver/cmdline" "/proc/$driver/mountinfo" \
        "$T/mount.log"; do
        ! tr '\0' '\n' <"$file" | grep -qEf "$T/tokens" || fail "a secret stands in $file"
    done
    ! ps axww -o args | grep -v 'ps axww\|grep' | grep -qEf "$T/tokens" || fail "a secret in ps"
    ! grep -q header-secret "$M/.obsmount/config" || fail "a secret option in config"
    check_eq "core limit" "$(awk '/core file/ { print $5, $6 }' "/proc/$driver/limits")" "0 0"
    ! find "$T/state" /run/obsmount -type f -exec grep -lEf "$T/tokens" {} + || fail "a secret on the disk"
    check_eq "modes of the state directory" \
        "$(find "$T/state" \( -type f -perm /077 -o -type d -perm /022 \) | head -n 3)" ""
}

t_no_secret_is_shown() {
    local word file
    echo sync >"$M/.obsmount/modelarts/datasets/x" 2>/dev/null
    for word in testsecretkey; do
        for file in $(find "$M/.obsmount" -type f); do
            ! grep -q "$word" "$file" || fail "'$word' stands in $file"
        done
    done
}

t_groups_are_valid_names() {
    local c=$M/.obsmount
    check_eq "a new group" "$(cat "$c/dli/jars/g.1-a_B")" "{}"
    check_eq "without a group" "$(cat "$c/dli/files/@none")" "{}"
    check_eq "an id" "$(cat "$c/modelarts/data-annotations/282")" "{}"
    check_eq "reading is no use" "$(ls "$c/dli/jars" "$c/dli/files" | xargs)" "$c/dli/files: $c/dli/jars:"
    fails "Invalid argument" cat "$c/dli/jars/a b"
    fails "Invalid argument" cat "$c/dli/jars/@none"
    fails "Invalid argument" cat "$c/modelarts/datasets/a.b"
    fails "too long" cat "$c/dli/jars/$(printf 'x%.0s' {1..65})"
}

t_log_level() {
    local c=$M/.obsmount
    echo log error >"$c/ctl" || fail "log error"
    printf 'log debug' >"$c/ctl" || fail "log debug without a newline"
    fails "Invalid argument" bash -c "exec 2>&1; echo log loud >$c/ctl"
    fails "Invalid argument" bash -c "exec 2>&1; echo nonsense >$c/ctl"
    check "errors has it" grep -q ' control EINVAL path="/.obsmount/ctl" error_msg="there is no command .nonsense' \
        "$c/errors"
    check "reading lists the commands" grep -q '^drain' "$c/ctl"
}

. "$(dirname "$0")/../mount/lib.sh"
