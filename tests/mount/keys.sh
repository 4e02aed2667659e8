#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# keys.sh - where access keys come from: file, environment, metadata service.

options() { # [MORE]: without any keys
    mkdir -p "$M"
    echo "endpoint=http://localhost:$OBS_PORT,state_dir=$T/state,log_file=$T/mount.log,part_size=$part_size${1:+,$1}"
}

mount_so() { # OPTIONS [VARIABLE=VALUE]...
    local what=$1
    shift
    mounted+=("$M")
    env "$@" timeout 60 "$OBSMOUNT" bkt "$M" -o "$(options "$what")" || fail "the mount with $what"
    driver=$(driver_pid "$M")
    echo "$driver" >>"$T/drivers"
}

metadata() { # [CONFIG]: the mount with the keys of obs-local's metadata service
    local rest="$OBS_URL"
    [ $# -eq 0 ] || configure "{\"config\":{\"metadata\":$1}}"
    mount_so "credential_source=metadata,metadata_endpoint=$rest,parallel=2,log_level=debug"
}

configure() {
    python3 - "$OBS_PORT" "$1" <<'PY'
import http.client, sys
c = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=20)
c.request("POST", "/-/cloud", sys.argv[2])
sys.exit(c.getresponse().status != 200)
PY
}

refused() { # TEXT OPTIONS [VARIABLE=VALUE]...
    local text=$1 what=$2 out
    shift 2
    if out=$(env "$@" timeout 60 "$OBSMOUNT" bkt "$M" -o "$(options "$what")" 2>&1); then
        umnt "$M"
        fail "mounted with $what"
    fi
    case $out in
    *"$text"*) ;;
    *) fail "expected '$text', got: $out" ;;
    esac
}

# The keys end every four seconds, an upload takes longer.
tx_temporary_keys_are_renewed() {
    service_start
    metadata '{"key_s":4}'
    make_file "$T/f" $((24 * part_size))
    oc reset
    oc faults '[{"operation":"UploadPart","count":-1,"rate":2500000}]'
    check "an upload longer than the keys" cp "$T/f" "$M/f"
    oc faults '[]'
    check "new keys were asked for" [ "$(requests MetadataSecurityKey)" -gt 1 ]
    check_eq "content" "$(oc etag "$T/f" $part_size)" "$(stored_etag f)"
}

# As long as there are no new ones requests are refused; they go on with those that come.
tx_keys_that_ended_are_replaced() {
    service_start
    metadata '{"key_s":3}'
    make_file "$T/f" $((12 * part_size))
    oc faults '[{"operation":"MetadataSecurityKey","count":-1,"status":500},{"operation":"UploadPart","count":-1,"rate":1500000}]'
    cp "$T/f" "$M/f" &
    local pid=$! i
    for ((i = 0; i < 400; i++)); do
        ! grep -q 'UploadPart.*ExpiredToken' "$T/mount.log" || break
        sleep 0.05
    done
    check "the keys end" grep -q 'UploadPart.*ExpiredToken' "$T/mount.log"
    configure '{"config":{"metadata":{"key_s":3600}}}'
    oc faults '[]'
    check "cp" wait "$pid"
    check_eq "content" "$(oc etag "$T/f" $part_size)" "$(stored_etag f)"
    drop_pages_of_metadata
    check "content" cmp "$T/f" "$M/f"
}

drop_pages_of_metadata() {
    leave
    metadata '{"key_s":3600,"token":"required"}'
}

tx_without_an_agency() {
    service_start
    oc faults '[{"operation":"MetadataSecurityKey","count":-1,"status":404}]'
    refused "metadata service: no agency is given to this server" \
        "credential_source=metadata,metadata_endpoint=$OBS_URL"
    local out
    out=$("$OBSMOUNT" --check bkt -o "$(options "credential_source=metadata,metadata_endpoint=$OBS_URL")") &&
        fail "--check finds keys"
    check "the check says so" grep -q '^FAIL  keys .*no agency' <<<"$out"
    refused "metadata service" "credential_source=metadata,metadata_endpoint=http://127.0.0.1:1"
    oc faults '[]'
    check "the check finds them" "$OBSMOUNT" --check bkt \
        -o "$(options "credential_source=metadata,metadata_endpoint=$OBS_URL")"
}

# A proxy that refuses everybody, at $proxy; each connection is a line in $T/proxied.
refusing_proxy() {
    python3 - "$T/proxied" "$T/proxy.port" <<'PY' &
import os, socket, sys
s = socket.create_server(("127.0.0.1", 0))
with open(sys.argv[2] + ".new", "w") as f:
    f.write(str(s.getsockname()[1]))
os.rename(sys.argv[2] + ".new", sys.argv[2])
s.settimeout(1)
while os.path.isdir(os.path.dirname(sys.argv[1])):  # it goes with the case
    try:
        c, _ = s.accept()
    except TimeoutError:
        continue
    request = c.recv(65536).split(b"\r\n")[0].decode(errors="replace")
    with open(sys.argv[1], "a") as f:
        f.write(request + "\n")
    c.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    c.close()
PY
    local i
    for ((i = 0; i < 400; i++)); do
        [ ! -s "$T/proxy.port" ] || break
        sleep 0.05
    done
    proxy=http://127.0.0.1:$(cat "$T/proxy.port")
    : >"$T/proxied"
}

# Keys are for this server only: no proxy is asked for them. 0.0.0.0 is this machine too, and, unlike
# 127.0.0.1, no address that is never proxied.
tx_metadata_without_a_proxy() {
    local proxy got=0
    service_start
    refusing_proxy
    export http_proxy=$proxy https_proxy=$proxy all_proxy=$proxy no_proxy=""
    unset NO_PROXY HTTPS_PROXY ALL_PROXY
    mount_so "credential_source=metadata,metadata_endpoint=http://0.0.0.0:$OBS_PORT"
    check "its keys" [ "$(requests MetadataSecurityKey)" -gt 0 ]
    check "and the token" [ "$(requests MetadataToken)" -gt 0 ]
    echo x >"$M/f"
    check_eq "through the proxy" "$(cat "$T/proxied")" ""
    timeout 60 "$OBSMOUNT" --check bkt -o "endpoint=http://0.0.0.0:$OBS_PORT,credential_file=$T/keys" >"$T/check.out" 2>&1 || got=$?
    check_eq "the proxy is in the way of everything else ($(cat "$T/check.out"))" "$got" 32
    check "it was asked" grep -q "http://0.0.0.0:$OBS_PORT/bkt" "$T/proxied"
    check_eq "and not for keys" "$(grep -c 'securitykey\|api/token' "$T/proxied")" 0
}

# The file is first, then the environment in the order of its names; the metadata service only when it
# is asked for.
tx_order_of_sources() {
    service_start
    local good=(AccessKeyID=testaccesskey SecretAccessKey=testsecretkey)
    local bad=(HUAWEICLOUD_SDK_AK=nobody HUAWEICLOUD_SDK_SK=x)
    refused "no access key" ""
    refused "no access key" "credential_source=environment"
    refused "InvalidAccessKeyId" "" "${bad[@]}"
    refused "exclude" "credential_source=environment,credential_file=$T/keys"
    mount_so "credential_file=$T/keys" "${bad[@]}"
    leave
    mount_so "" "${good[@]}" "${bad[@]}"
    leave
    mount_so "" HUAWEICLOUD_SDK_AK=testaccesskey HUAWEICLOUD_SDK_SK=testsecretkey
    leave
    check_eq "questions to the metadata service" "$(requests MetadataSecurityKey MetadataToken)" 0
    mount_so "credential_source=metadata,metadata_endpoint=$OBS_URL" "${bad[@]}"
    check "its keys" [ "$(requests MetadataSecurityKey)" -gt 0 ]
    echo x >"$M/f"
    check_eq "content" "$(oc get f)" x
}

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
