#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# cloud.sh - DLI package groups and ModelArts synchronisation through their control files.

C=.obsmount
project=0123456789abcdef0123456789abcdef

# begin [ARG]...: the service, mounted with everything on its one port
begin() {
    service_start "$@"
    local at=http://127.0.0.1:$OBS_PORT
    mounted_with "project_id=$project,dli_endpoint=$at,modelarts_endpoint=$at,iam_endpoint=$at$options"
}
options=

# cloud [JSON]: sets the configuration, or shows configuration and state
cloud() {
    python3 - "$OBS_PORT" "$@" <<'PY'
import http.client, sys
c = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=20)
c.request(*(["POST", "/-/cloud", sys.argv[2]] if len(sys.argv) > 2 else ["GET", "/-/cloud"]))
r = c.getresponse()
text = r.read().decode()
if r.status >= 300:
    sys.exit(text)
if len(sys.argv) == 2:
    print(text)
PY
}

# answer FILE EXPRESSION: of the JSON that reading gives, as Python's `a`
answer() {
    python3 -c 'import json, sys
a = json.load(open(sys.argv[1]))
v = eval(sys.argv[2])
print(v if isinstance(v, str) else json.dumps(v))' "$M/$C/$1" "$2"
}

put() { # NAME...
    local name
    for name in "$@"; do
        mkdir -p "$M/$(dirname "$name")"
        echo "$name" >"$M/$name"
    done
}

refuses() { # ERRNO-TEXT FILE TEXT
    fails "$1" bash -c 'exec 2>&1; printf "%s\n" "$2" >"$1"' - "$M/$C/$2" "$3"
}

tx_register_one() {
    begin
    put jobs/etl.py
    check_eq "before" "$(cat "$M/$C/dli/pyfiles/gatk")" "{}"
    check "register" bash -c "echo jobs/etl.py >$M/$C/dli/pyfiles/gatk"
    check_eq "group" "$(answer dli/pyfiles/gatk 'a["group_name"]')" gatk
    check_eq "status" "$(answer dli/pyfiles/gatk 'a["status"]')" READY
    check_eq "state" "$(answer dli/pyfiles/gatk 'a["state"]')" READY
    check_eq "resources" "$(answer dli/pyfiles/gatk 'a["resources"]')" '["etl.py"]'
    check_eq "type" "$(answer dli/pyfiles/gatk 'a["details"][0]["resource_type"]')" pyFile
    check "status, id, time" answer dli/pyfiles/gatk 'a["http_status"] // 100 == 2 and a["request_id"] and a["time"]'
    check_eq "requests" "$(oc requests DliUploadPythonFiles) $(oc requests DliUploadResources)" "1 0"
    check_eq "listed now" "$(ls "$M/$C/dli/pyfiles")" gatk
}

# arrived OPERATION: "METHOD PATH BODY" of each such request, as it came
arrived() {
    service_request GET "/-/log?tail=1000&op=$1" | python3 -c '
import json, sys
for r in json.load(sys.stdin):
    print(r["method"], r["path"], r["body"])'
}

# Path, body and form of the URLs are those of the documentation, byte by byte.
tx_requests_as_documented() {
    begin
    local at=https://bkt.localhost:$OBS_PORT p=/v2.0/$project/resources
    mkdir "$T/job" "$M/jobs"
    echo 1 >"$T/job/etl.py"
    echo 2 >"$T/job/test_dli.jar"
    echo 3 >"$T/job/a b.txt"
    check "cp -r" cp -r "$T/job" "$M/jobs/"
    check "pyfiles" bash -c "echo jobs/job/etl.py >$M/$C/dli/pyfiles/gatk"
    check_eq "pyfiles" "$(arrived DliUploadPythonFiles)" \
        "POST $p/pyfiles {\"paths\":[\"$at/jobs/job/etl.py\"],\"group\":\"gatk\"}"
    check "jars" bash -c "printf '%s\n' jobs/job/test_dli.jar | cat >$M/$C/dli/jars/g2"
    check_eq "jars" "$(arrived DliUploadJars)" \
        "POST $p/jars {\"paths\":[\"$at/jobs/job/test_dli.jar\"],\"group\":\"g2\"}"
    cat >"$T/request.json" <<JSON
{ "paths": [ "$at/jobs/job/test_dli.jar",
             "jobs/job/etl.py" ], "group": " gatk" }
JSON
    check "its own JSON" bash -c "cat $T/request.json >$M/$C/dli/files/gatk"
    check_eq "files" "$(arrived DliUploadFiles)" \
        "POST $p/files {\"paths\":[\"$at/jobs/job/test_dli.jar\",\"$at/jobs/job/etl.py\"],\"group\":\"gatk\"}"
    check_eq "fields of the answer" "$(answer dli/files/gatk '[a["group_name"], a["status"], sorted(a["resources"]), a["is_async"]] + [sorted(a["details"][0])]')" \
        '["gatk", "READY", ["etl.py", "test_dli.jar"], false, ["create_time", "is_async", "resource_name", "resource_type", "status", "underlying_name", "update_time"]]'
    oc reset
    check "no group" bash -c "echo jobs/job/etl.py >$M/$C/dli/files/@none"
    check_eq "the key is left out" "$(arrived DliUploadFiles)$(arrived DliUploadResources)" \
        "POST $p/files {\"paths\":[\"$at/jobs/job/etl.py\"]}"
    check_eq "type" "$(oc arrived DliUploadFiles content-type | cut -f 2)" application/json
}

# rsync, then sync: when the service is asked all images are stored.
tx_rsync_and_sync() {
    command -v rsync >/dev/null || skip "rsync is not installed"
    begin
    local i
    mkdir "$T/images"
    for i in 1 2 3 4 5; do echo "$i" >"$T/images/$i.jpg"; done
    check "as in the manual" bash -c \
        "rsync -a $T/images/ $M/train/ && echo sync >$M/$C/modelarts/data-annotations/282"
    check_eq "the request" "$(arrived ModelArtsSyncObs)" "POST /v1/$project/data-annotations/282/obs/sync "
    check_eq "images before it" "$(oc log | grep -E $'^(PutObject\ttrain/.*jpg|ModelArtsSyncObs)' | cut -f 1 | uniq -c | xargs)" \
        "5 PutObject 1 ModelArtsSyncObs"
    check_eq "is_success" "$(answer modelarts/data-annotations/282 'a["is_success"]')" true
    check "v2" bash -c "echo sync >$M/$C/modelarts/datasets/gfghHSokody6AJigS5A"
    check_eq "its request" "$(arrived ModelArtsSyncDataset)" \
        "POST /v2/$project/datasets/gfghHSokody6AJigS5A/sync-data "
}

tx_register_kinds_and_lists() {
    begin
    put jobs/a.jar jobs/b.jar jobs/sub/c.jar x.txt
    check "two at once" bash -c "printf 'jobs/a.jar\njobs/b.jar\n' | cat >$M/$C/dli/jars/g"
    check_eq "resources" "$(answer dli/jars/g 'sorted(a["resources"])')" '["a.jar", "b.jar"]'
    check_eq "one request" "$(oc requests DliUploadJars)" 1
    check "a directory" bash -c "echo $M/jobs >$M/$C/dli/files/dir"
    check_eq "the files in it" "$(answer dli/files/dir 'sorted(a["resources"])')" '["a.jar", "b.jar"]'
    check "obs://" bash -c "echo obs://bkt/x.txt >$M/$C/dli/files/o"
    check_eq "resources" "$(answer dli/files/o 'a["resources"]')" '["x.txt"]'
    check "without a group" bash -c "echo x.txt >$M/$C/dli/files/@none"
    check_eq "names only" "$(answer dli/files/@none 'a["resource_names"]')" '["x.txt"]'
    check "an URL" bash -c "echo https://elsewhere.obs.example.com/lib/z.py >$M/$C/dli/files/u"
    check_eq "resources" "$(answer dli/files/u 'a["resources"]')" '["z.py"]'
}

# bash writes each line by itself: what was named through one handle accumulates.
tx_lines_accumulate() {
    begin
    put a.py b.py
    cloud '{"config":{"dli":{"group":"overwrite"}}}'
    check "printf" bash -c "printf 'a.py\nb.py\n' >$M/$C/dli/pyfiles/g"
    check_eq "both" "$(answer dli/pyfiles/g 'sorted(a["resources"])')" '["a.py", "b.py"]'
}

tx_request_as_json() {
    begin
    put a.jar b.jar
    cat >"$T/request.json" <<JSON
{
    "paths": [
        "a.jar",
        "obs://bkt/b.jar"
    ],
    "group": " gatk"
}
JSON
    check "cat" bash -c "cat $T/request.json >$M/$C/dli/jars/gatk"
    check_eq "both" "$(answer dli/jars/gatk 'sorted(a["resources"])')" '["a.jar", "b.jar"]'
    check "line by line" bash -c 'while IFS= read -r l; do printf "%s\n" "$l"; done <"$1" >"$2"' - \
        "$T/request.json" "$M/$C/dli/jars/gatk"
    check_eq "two requests" "$(oc requests DliUploadJars)" 2
    refuses "Invalid argument" dli/jars/other "$(cat "$T/request.json")"
    refuses "Invalid argument" dli/jars/gatk '{"paths": ["https: //test.obs.example.com/a.jar"]}'
    check "asynchronous" bash -c 'echo "{\"paths\":[\"a.jar\"],\"is_async\":true}" >'"$M/$C/dli/jars/later"
    check_eq "the generic request" "$(oc requests DliUploadResources)" 1
    printf '{"paths": [' >"$M/$C/dli/jars/gatk"
    check_eq "incomplete: nothing is sent" "$(oc requests DliUploadJars)" 2
    check "and noted" grep -q 'dli/jars/gatk.*incomplete' "$M/$C/errors"
}

tx_barrier() {
    begin
    put a.py
    exec 7>"$M/open.py"
    echo x >&7
    refuses "esource busy" dli/pyfiles/g open.py
    check "which" answer dli/pyfiles/g '"/open.py" in a["error_msg"] and a["errno"] == "EBUSY"'
    refuses "No such file" dli/pyfiles/g missing.py
    refuses "Invalid argument" dli/pyfiles/g ../a.py
    refuses "Invalid argument" dli/pyfiles/g /etc/passwd
    check_eq "nothing was sent" "$(oc requests DliUploadPythonFiles)" 0
    exec 7>&-
    check "closed" bash -c "echo open.py >$M/$C/dli/pyfiles/g"
    # a file that is held for its rename is stored first
    python3 -c 'import os, sys
fd = os.open(sys.argv[1], os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
os.write(fd, b"held")
os.close(fd)' "$M/tmpAbC123"
    check "held" bash -c "echo tmpAbC123 >$M/$C/dli/files/g"
    check_eq "stored" "$(oc get tmpAbC123)" held
}

tx_waits_for_an_upload() {
    begin
    oc faults '[{"operation":"PutObject","key":"slow.py","count":1,"stall":true}]'
    echo x >"$M/slow.py" &
    local writer=$! i
    for ((i = 0; i < 400; i++)); do
        ! grep -q ' uploading .*/slow.py' "$M/$C/uploads" || break
        sleep 0.02
    done
    bash -c "echo slow.py >$M/$C/dli/pyfiles/g" &
    local command=$!
    sleep 0.3
    check "close() has not returned" kill -0 "$writer"
    check "the command waits for it" kill -0 "$command"
    oc faults '[]'
    check "register" wait "$command"
    wait "$writer"
    check_eq "order" "$(oc log | cut -f 1 | grep -E 'PutObject|DliUpload' | xargs)" \
        "PutObject DliUploadPythonFiles"
}

tx_service_errors() {
    begin
    put a.py
    oc faults '[{"operation":"DliUploadPythonFiles","count":1,"status":400,"code":"DLI.0003","message":"Permission denied for resource"}]'
    refuses "ermission denied" dli/pyfiles/g a.py
    check_eq "code" "$(answer dli/pyfiles/g 'a["error_code"]')" DLI.0003
    check_eq "message" "$(answer dli/pyfiles/g 'a["error_msg"]')" "Permission denied for resource"
    check_eq "status" "$(answer dli/pyfiles/g 'a["http_status"]')" 400
    check "errors" grep -q 'control EACCES path="/.obsmount/dli/pyfiles/g" http_status=400 error_code="DLI.0003"' \
        "$M/$C/errors"
    oc reset
    oc faults '[{"operation":"DliUploadPythonFiles","count":1,"status":500,"code":"DLI.0999","message":"server error"}]'
    check "500, then 201" bash -c "echo a.py >$M/$C/dli/pyfiles/g"
    check_eq "requests" "$(oc requests DliUploadPythonFiles)" 2
    oc reset
    oc faults '[{"operation":"DliUploadPythonFiles","count":-1,"status":401,"code":"APIGW.0301","message":"Incorrect IAM authentication information"}]'
    refuses "ermission denied" dli/pyfiles/g a.py
    check_eq "a 401 is sent once" "$(oc requests DliUploadPythonFiles)" 1
    oc faults '[]'
}

# Each writer as it can: rc and message of a command that fails.
tx_each_writer_sees_the_error() {
    begin
    local f=$M/$C/dli/pyfiles/g
    fails "No such file" bash -c "exec 2>&1; echo missing >$f"
    fails "No such file" bash -c "exec 2>&1; printf missing >>$f"
    fails "I/O error" dash -c "exec 2>&1; echo missing >$f"
    fails "No such file" sh -c "/bin/echo missing 2>&1 >$f"
    fails "No such file" sh -c "echo missing | tee $f"
    fails "No such file" sh -c "echo missing | dd of=$f"
    fails "No such file" sh -c "echo missing | cat - 2>&1 >$f"
    fails "No such file" python3 -c 'import sys
with open(sys.argv[1], "w") as f:
    f.write("missing\n")' "$f"
    check_eq "python's second write was not a second command" \
        "$(grep -c 'No such file\|missing' "$M/$C/errors")" 8
    check "an empty write is nothing" sh -c ": >$f"
    fails "too long" sh -c "head -c 70000 /dev/zero | tr '\\0' a | dd of=$f bs=70000 iflag=fullblock"
}

# find writes 4,096 bytes at a time, cut in the middle of a line.
tx_long_lists() {
    begin
    local i
    mkdir "$M/jobs"
    for ((i = 0; i < 150; i++)); do
        echo "$i" >"$T/a_rather_long_name_of_a_package_number_$i.py"
    done
    cp "$T"/a_rather_* "$M/jobs/"
    check "find" bash -c "find $M/jobs -type f >$M/$C/dli/pyfiles/g"
    check_eq "all of them" "$(answer dli/pyfiles/g 'len(a["resources"])')" 150
}

tx_sync() {
    begin
    mkdir "$M/train"
    put train/1.jpg train/2.jpg
    cloud '{"config":{"modelarts":{"paths":{"282":"/bkt/train/"}}}}'
    check "sync" bash -c "echo sync >$M/$C/modelarts/data-annotations/282"
    check_eq "is_success" "$(answer modelarts/data-annotations/282 'a["is_success"]')" true
    check_eq "no error_code" "$(answer modelarts/data-annotations/282 '"error_code" in a')" false
    check_eq "the request" "$(oc requests ModelArtsSyncObs)" 1
    check "sync wait PATH" bash -c "printf 'sync wait train' >$M/$C/modelarts/datasets/set1"
    check_eq "state" "$(answer modelarts/datasets/set1 'a["state"]')" COMPLETED
    check "its state was asked for" [ "$(oc requests ModelArtsSyncDatasetStatus)" -gt 0 ]
    refuses "Invalid argument" modelarts/datasets/set1 "synchronise"
    refuses "Invalid argument" modelarts/datasets/set1 "sync wait /etc"
    refuses "No such file" modelarts/datasets/set1 "sync wait nothing"
}

tx_sync_fails() {
    begin
    cloud '{"config":{"modelarts":{"fail":"bad*"}}}'
    ! (echo sync wait >"$M/$C/modelarts/datasets/bad1") 2>/dev/null || fail "no error"
    check_eq "state" "$(answer modelarts/datasets/bad1 'a["state"]')" FAILED
    check "why" answer modelarts/datasets/bad1 'a["error_code"]'
    oc faults '[{"operation":"ModelArtsSyncObs","count":1,"status":200,"body":"{\"is_success\":false,\"error_code\":\"ModelArts.4101\",\"error_msg\":\"sub-folders\"}"}]'
    ! (echo sync >"$M/$C/modelarts/data-annotations/5") 2>/dev/null || fail "no error inside 200"
    check_eq "code" "$(answer modelarts/data-annotations/5 'a["error_code"]')" ModelArts.4101
    check_eq "is_success" "$(answer modelarts/data-annotations/5 'a["is_success"]')" false
}

tx_sync_barrier() {
    begin
    mkdir "$M/train" "$M/other"
    exec 7>"$M/train/open.jpg"
    echo x >&7
    refuses "esource busy" modelarts/datasets/s "sync train"
    check "another directory" bash -c "echo sync wait other >$M/$C/modelarts/datasets/s"
    check "the whole mount" bash -c "echo sync >$M/$C/modelarts/datasets/s2"
    check_eq "what was not waited for" "$(answer modelarts/datasets/s2 'a["open_files"]')" '["/train/open.jpg"]'
    exec 7>&-
    oc faults '[{"operation":"PutObject","key":"train/bad.jpg","count":-1,"status":403,"code":"AccessDenied"}]'
    ! (echo x >"$M/train/bad.jpg") 2>/dev/null
    refuses "nput/output error" modelarts/datasets/s "sync train"
    check "which" answer modelarts/datasets/s '"train/bad.jpg" in a["error_msg"]'
    check "elsewhere" bash -c "echo sync wait other >$M/$C/modelarts/datasets/s"
    oc faults '[]'
}

tx_two_syncs_at_once() {
    begin
    cloud '{"config":{"modelarts":{"polls":1000}}}'
    bash -c "echo sync wait >$M/$C/modelarts/datasets/s" 2>/dev/null &
    local first=$! i
    for ((i = 0; i < 100; i++)); do
        [ "$(oc requests ModelArtsSyncDataset)" -eq 0 ] || break
        sleep 0.05
    done
    refuses "esource busy" modelarts/datasets/s sync
    check "another one" bash -c "echo sync >$M/$C/modelarts/datasets/t"
    kill "$first"
    wait_gone "$first" 5 || fail "sync wait cannot be interrupted"
    wait "$first"
}

tx_token_of_a_user() {
    service_start
    cloud '{"config":{"users":[{"name":"ann","domain":"org","password":"very-secret-word"}]}}'
    (umask 077 && echo very-secret-word >"$T/password")
    local at=http://127.0.0.1:$OBS_PORT
    mounted_with "region=local,dli_endpoint=$at,modelarts_endpoint=$at,iam_endpoint=$at,iam_user=ann,iam_domain=org,iam_password_file=$T/password"
    put a.py
    check "register" bash -c "echo a.py >$M/$C/dli/pyfiles/g"
    check_eq "a token was asked for" "$(oc requests IamCreateToken)" 1
    ! grep -rq very-secret-word "$M/$C/config" "$M/$C/errors" "$T/mount.log" || fail "the password shows"
}

tx_project_is_looked_up() {
    service_start
    local at=http://127.0.0.1:$OBS_PORT
    mounted_with "region=local,dli_endpoint=$at,iam_endpoint=$at"
    put a.py
    check "register" bash -c "echo a.py >$M/$C/dli/pyfiles/g"
    check_eq "IAM was asked" "$(oc requests IamListProjects)" 1
}

tx_without_a_region() {
    service_start
    mounted_with
    put a.py
    ! (echo a.py >"$M/$C/dli/pyfiles/g") 2>/dev/null || fail "no error"
    check "it says what is missing" answer dli/pyfiles/g 'a["error_msg"]'
}

# The examples of the manual, as they stand there.
tx_examples_of_the_manual() {
    begin
    mkdir "$M/jobs"
    cd "$T" || fail "cd"
    echo 1 >job.py
    awk '/^\.Bd -literal/ { on = 1; next } /^\.Ed/ { on = 0 } on' "$top/man/obsmount-control.5" |
        sed "s#/mnt/#$M/#g" >"$T/examples"
    check "there are some" [ "$(wc -l <"$T/examples")" -ge 8 ]
    check "the examples" bash -e "$T/examples"
    check_eq "requests" "$(oc requests DliUploadPythonFiles DliUploadJars DliUploadFiles ModelArtsSyncDataset)" 4
}

. "$(dirname "$0")/../mount/lib.sh"
