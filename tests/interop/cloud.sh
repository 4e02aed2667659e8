#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# cloud.sh - Huawei's SDKs for DLI and ModelArts and a mount with the same services; rules as
# tests/mount/lib.sh.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

C=.obsmount
project=0123456789abcdef0123456789abcdef

begin() {
    need_sdk
    service_start
    local at=http://127.0.0.1:$OBS_PORT
    mounted_with "project_id=$project,dli_endpoint=$at,modelarts_endpoint=$at,iam_endpoint=$at"
    url=https://bkt.localhost:$OBS_PORT
}

sdk() {
    OBS_PORT=$OBS_PORT OBS_KEYS=$T/keys "$PYTHON" "$top/tests/interop/cloud.py" "$@" 2>"$T/sdk.err" ||
        fail "the SDK: $* ($(tail -n 5 "$T/sdk.err"))"
}

tx_groups_of_the_mount_by_sdk() {
    begin
    mkdir "$M/jobs"
    echo 1 >"$M/jobs/etl.py"
    echo 2 >"$M/jobs/a.jar"
    check "register" bash -c "echo jobs/etl.py >$M/$C/dli/pyfiles/gatk"
    check "register" bash -c "echo jobs/a.jar >$M/$C/dli/jars/libs"
    check_eq "the SDK lists them" "$(sdk list | xargs)" "gatk: etl.py libs: a.jar"
    check_eq "and reads one" "$(sdk show etl.py gatk)" "READY pyFile"
    check_eq "it registers beside them" "$(sdk upload jar libs "$url/jobs/a.jar")" "libs READY a.jar"
    check_eq "also by the generic call" "$(sdk upload generic libs "$url/jobs/etl.py")" \
        "libs READY a.jar etl.py"
    check "it deletes one" sdk delete etl.py gatk
    check_eq "what is left" "$(sdk list | grep -c etl.py)" 1
}

tx_groups_of_the_sdk_by_mount() {
    begin
    local kind
    echo 1 >"$M/a.py"
    echo 2 >"$M/b.py"
    for kind in file pyFile; do
        check_eq "the SDK registers" "$(sdk upload "$kind" "g-$kind" "$url/a.py")" "g-$kind READY a.py"
    done
    check "the mount adds" bash -c "echo b.py >$M/$C/dli/files/g-file"
    check "both are in the answer" grep -q '"resources": \["a.py", "b.py"\]' \
        <(python3 -c 'import json, sys; a = json.load(open(sys.argv[1])); a["resources"].sort(); print(json.dumps(a))' "$M/$C/dli/files/g-file")
    check_eq "the SDK sees it" "$(sdk list | xargs)" "g-file: a.py b.py g-pyFile: a.py"
    # the wire form is the same: what the mount sent for a group, and what the SDK sent for another
    service_request GET "/-/log?tail=100&op=DliUploadFiles" | python3 -c '
import json, sys
requests = [(r["method"], r["path"], sorted(json.loads(r["body"])), r["sign"]) for r in json.load(sys.stdin)]
sys.exit(0 if len(requests) == 2 and requests[0] == requests[1] else str(requests))' ||
        fail "the requests differ"
}

# The signer is accepted where the mount's requests are.
tx_signer_and_modelarts() {
    begin
    local p
    check "the mount" bash -c "echo sync wait >$M/$C/modelarts/datasets/set1"
    for p in "POST /v1/$project/data-annotations/282/obs/sync" \
        "GET /v1/$project/data-annotations/282/obs/sync-status" \
        "POST /v2/$project/datasets/set1/sync-data" "GET /v2/$project/datasets/set1/sync-data/status"; do
        case $(sdk modelarts $p) in
        200*) ;;
        *) fail "refused: $p" ;;
        esac
    done
    service_request GET "/-/log?tail=100&op=ModelArtsSyncDataset" | python3 -c '
import json, sys
requests = [(r["method"], r["path"], r["body"], r["sign"]) for r in json.load(sys.stdin)]
sys.exit(0 if len(requests) == 2 and requests[0] == requests[1] else str(requests))' ||
        fail "the requests differ"
}

. "$(dirname "${BASH_SOURCE[0]}")/../mount/lib.sh"
