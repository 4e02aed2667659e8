#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# uploads.sh - the list of uploads and the commands of ctl about them.

C=.obsmount

# field PATH NAME...: these fields of the first upload with that path, at one moment
field() {
    python3 -c '
import json, sys
rows = [u for u in json.load(open(sys.argv[1]))["uploads"] if u["path"] == sys.argv[2]]
for name in sys.argv[3:]:
    value = rows[0][name] if rows else ""
    print("" if value is None else value if not isinstance(value, dict) else json.dumps(value))
' "$M/$C/uploads.json" "$@"
}

# wait_field PATH NAME VALUE
wait_field() {
    local i
    for ((i = 0; i < 400; i++)); do
        [ "$(field "$1" "$2")" != "$3" ] || return 0
        sleep 0.05
    done
    fail "$2 of $1 is '$(field "$1" "$2")', not '$3': $(cat "$M/$C/uploads")"
}

wait_stored() { # KEY
    local i
    for ((i = 0; i < 400; i++)); do
        [ -z "$(stored_etag "$1")" ] || return 0
        sleep 0.05
    done
    fail "$1 is not stored: $(cat "$M/$C/uploads")"
}

ctl() { echo "$@" >"$M/$C/ctl"; }

slow_parts() { oc faults '[{"operation":"UploadPart","count":-1,"rate":'"$1"'}]'; }

# "PARTS BYTES" that the service has of the only unfinished upload
listed_parts() {
    OBS_PORT=$OBS_PORT OBS_KEYS=$T/keys python3 - "$top/tests/lib" <<'PY'
import os, sys
sys.path.insert(0, sys.argv[1])
import obsclient
ak, sk = open(os.environ["OBS_KEYS"]).read().strip().split(":")[:2]
c = obsclient.Client(int(os.environ["OBS_PORT"]), ak, sk, "bkt")
root = obsclient.strip(obsclient.ET.fromstring(c.request("GET", query={"uploads": None})[2]))
[upload] = root.iter("Upload")
root = obsclient.strip(obsclient.ET.fromstring(
    c.request("GET", upload.findtext("Key").encode(), {"uploadId": upload.findtext("UploadId")})[2]))
sizes = [int(p.findtext("Size")) for p in root.iter("Part")]
print(len(sizes), sum(sizes))
PY
}

t_nothing_to_show() {
    check_eq "rows" "$(wc -l <"$M/$C/uploads")" 1
    check_eq "json" "$(tr -d ' \n' <"$M/$C/uploads.json")" '{"uploads":[]}'
    echo x >"$M/f"
    check_eq "a stored file is no upload" "$(wc -l <"$M/$C/uploads")" 1
}

t_slow_copy_can_be_watched() {
    make_file "$T/f" $((24 * part_size))
    slow_parts 100000
    cp "$T/f" "$M/f" &
    local pid=$! first second i
    wait_field /f state uploading
    for ((i = 0; i < 200; i++)); do
        first=$(field /f bytes_done)
        [ "$first" -eq 0 ] || break
        sleep 0.05
    done
    for ((i = 0; i < 200; i++)); do
        second=$(field /f bytes_done)
        [ "$second" = "$first" ] || break
        sleep 0.05
    done
    [ -z "$second" ] || [ "$second" -gt "$first" ] || fail "bytes do not rise: $first, $second"
    local table rows
    table=$(cat "$M/$C/uploads") # a loaded machine may see the copy's end before all has been asked
    mapfile -t rows < <(field /f rate eta bytes_total parts_total key)
    check "a rate" [ "${rows[0]}" -gt 0 ]
    check "an end" [ "${rows[1]}" -ge 0 ]
    check_eq "of, parts, key" "${rows[*]:2}" "$((24 * part_size)) 24 f"
    check "the table has it" grep -qE '^[0-9]+ +uploading .* /f$' <<<"$table"
    oc faults '[]'
    check "cp" wait "$pid"
}

t_pause_and_resume() {
    make_file "$T/f" $((12 * part_size))
    slow_parts 400000
    cp "$T/f" "$M/f" &
    local pid=$! id
    wait_field /f state uploading
    id=$(field /f id)
    check "pause" ctl "pause $id"
    wait_field /f bytes_sending 0
    check_eq "state" "$(field /f state)" paused
    check_eq "as the service has it" "$(field /f parts_stored) $(field /f bytes_done)" "$(listed_parts)"
    sleep 0.3
    check_eq "nothing more" "$(field /f parts_stored) $(field /f bytes_done)" "$(listed_parts)"
    check "the writer waits" kill -0 "$pid"
    oc faults '[]'
    check "resume" ctl "resume $id"
    check "cp" wait "$pid"
    check "content" cmp "$T/f" "$M/f"
    fails "No such file" bash -c "exec 2>&1; echo pause $id >$M/$C/ctl"
}

t_paused_writer_can_be_interrupted() {
    make_file "$T/f" $((40 * part_size))
    slow_parts 200000
    python3 - "$T/f" "$M/f" <<'PY' &
import signal, sys, time
signal.signal(signal.SIGINT, signal.SIG_DFL)
data = open(sys.argv[1], "rb").read()
with open(sys.argv[2], "wb") as f:
    for at in range(0, len(data), 1 << 20):
        f.write(data[at:at + (1 << 20)])
        f.flush()
        time.sleep(0.05)
    signal.pause() # not closed yet, however late the signal comes
PY
    local pid=$! id
    wait_field /f state writing
    id=$(field /f id)
    ctl "pause $id" || fail "pause"
    sleep 0.3
    check "the writer waits" kill -0 "$pid"
    kill -INT "$pid"
    wait_gone "$pid" 10 || fail "the writer does not end"
    wait "$pid"
    oc faults '[]'
    wait_field /f state interrupted
    check "abort" ctl "abort $(field /f id)"
    check_eq "no upload is left" "$(oc uploads)" ""
}

t_paused_over_a_remount() {
    make_file "$T/f" $((12 * part_size))
    slow_parts 400000
    python3 - "$T/f" "$M/f" <<'PY' &
import signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
with open(sys.argv[2], "wb") as f:
    f.write(open(sys.argv[1], "rb").read())
PY
    local pid=$! id parts
    wait_field /f state uploading
    id=$(field /f id)
    check "pause" ctl "pause $id"
    wait_field /f bytes_sending 0
    kill -INT "$pid" # it waits in close(): what it wrote is whole
    wait "$pid"
    parts=$(listed_parts)
    oc faults '[]'
    remount
    wait_field /f state paused
    check_eq "still there" "$(field /f parts_stored) $(field /f bytes_done)" "$parts"
    oc reset
    check "resume" ctl "resume $(field /f id)"
    check "drain" ctl drain
    check_eq "parts sent after it" "$(oc requests UploadPart)" $((12 - ${parts% *}))
    check "content" cmp "$T/f" "$M/f"
}

t_retry_of_a_failed_one() {
    oc faults '[{"operation":"PutObject","key":"f","count":-1,"status":403,"code":"AccessDenied"}]'
    echo content >"$T/f"
    fails "ermission denied" cp "$T/f" "$M/f"
    check_eq "state" "$(field /f state)" failed
    check "why" grep -q '"AccessDenied"' <<<"$(field /f error)"
    check "why in the table" grep -q ' failed .* /f  (EACCES AccessDenied: ' "$M/$C/uploads"
    fails "No such file" cat "$M/f"
    fails "Invalid argument" bash -c "exec 2>&1; echo resume $(field /f id) >$M/$C/ctl"
    oc faults '[]'
    check "retry" ctl "retry $(field /f id)"
    check "drain" ctl drain
    check_eq "content" "$(oc get f)" content
    check_eq "through the mount" "$(cat "$M/f")" content
    check_eq "rows" "$(wc -l <"$M/$C/uploads")" 1
}

t_retry_fails_again() {
    oc faults '[{"operation":"PutObject","key":"f","count":-1,"status":403,"code":"AccessDenied"}]'
    echo content >"$T/f"
    fails "ermission denied" cp "$T/f" "$M/f"
    check "retry is under way" ctl "retry $(field /f id)"
    fails "nput/output error" bash -c "exec 2>&1; echo drain >$M/$C/ctl"
    check_eq "state" "$(field /f state)" failed
    oc faults '[]'
    check "retry" ctl "retry $(field /f id)"
    check "drain" ctl drain
    check_eq "content" "$(oc get f)" content
}

# Writes 2.5 parts, to f or NAME, and is killed while the file is open.
killed_writer() { # [NAME]
    rm -f "$T/f.written"
    python3 - "$T/f" "$M/${1:-f}" <<'PY' &
import sys, time
with open(sys.argv[2], "wb", buffering=0) as f:
    f.write(open(sys.argv[1], "rb").read())
    open(sys.argv[1] + ".written", "w")
    time.sleep(60)
PY
    local pid=$! i
    for ((i = 0; i < 200; i++)); do
        [ ! -e "$T/f.written" ] || break
        sleep 0.05
    done
    wait_field "/${1:-f}" parts_stored 2
    kill -9 "$pid"
    wait "$pid"
    wait_field "/${1:-f}" state interrupted
}

t_interrupted_is_published_by_command() {
    make_file "$T/f" $((part_size * 5 / 2))
    killed_writer
    fails "No such file" cat "$M/f"
    remount
    wait_field /f state interrupted
    check "publish" ctl "publish $(field /f id)"
    check "drain" ctl drain
    check "content" cmp "$T/f" "$M/f"
    check_eq "mode" "$(stat -c %a "$M/f")" 644
    check_eq "rows" "$(wc -l <"$M/$C/uploads")" 1
}

t_interrupted_is_aborted_by_command() {
    make_file "$T/f" $((part_size * 5 / 2))
    killed_writer
    check "its parts are kept" [ -n "$(oc uploads)" ]
    remount
    wait_field /f state interrupted
    check "abort" ctl "abort $(field /f id)"
    check "drain" ctl drain
    check_eq "uploads in the bucket" "$(oc uploads)" ""
    check_eq "rows" "$(wc -l <"$M/$C/uploads")" 1
    remount
    check_eq "rows after a remount" "$(wc -l <"$M/$C/uploads")" 1
}

uploads_are() { [ "$(oc uploads | cut -f 1 | xargs)" = "$*" ]; }

# By the service's clock, but never at the first mount after it has jumped; then the parts are aborted, and
# the errors say so.
t_interrupted_expires() {
    make_file "$T/f" $((part_size * 5 / 2))
    killed_writer
    leave
    oc clock '{"advance_s":691200}'
    export OBS_CLOCK=691200
    mounted_with
    wait_field /f state interrupted
    check "its parts are kept" [ -n "$(oc uploads)" ]
    remount
    wait_until uploads_are
    wait_until grep -q " recovery ETIMEDOUT .*keep_interrupted" "$M/$C/errors"
    check_eq "rows" "$(wc -l <"$M/$C/uploads")" 1
}

# Beyond keep_interrupted_max the oldest go.
t_interrupted_beyond_the_limit() {
    remount "keep_interrupted_max=$((3 * part_size))"
    make_file "$T/f" $((part_size * 5 / 2))
    killed_writer f
    killed_writer g
    wait_field /g state interrupted
    wait_until grep -q " checkpoint ETIMEDOUT .*keep_interrupted_max" "$M/$C/errors"
    wait_until uploads_are g
    check_eq "the older one" "$(field /f state)" ""
}

t_abort_ends_the_writer() {
    make_file "$T/f" $((12 * part_size))
    slow_parts 500000
    (cp "$T/f" "$M/f" 2>"$T/cp.err"; echo $? >"$T/cp.rc") &
    local pid=$!
    wait_field /f state uploading
    check "abort" ctl "abort $(field /f id)"
    wait "$pid"
    oc faults '[]'
    check_eq "cp failed" "$(cat "$T/cp.rc")" 1
    check "with the reason" grep -qi 'canceled' "$T/cp.err"
    check "drain" ctl drain
    check_eq "uploads in the bucket" "$(oc uploads)" ""
    fails "No such file" cat "$M/f"
}

# A temporary name is held for its rename; drain does not wait for that.
t_drain_stores_what_is_held() {
    python3 -c 'import os, sys
fd = os.open(sys.argv[1], os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
os.write(fd, b"held")
os.close(fd)' "$M/.f.AbC123"
    wait_field /.f.AbC123 state held
    check_eq "the bucket" "$(oc list)" ""
    check "drain" ctl drain
    check_eq "content" "$(oc get .f.AbC123)" held
}

# A command that waits keeps nobody from the next one.
t_drain_waits_alone() {
    oc faults '[{"operation":"PutObject","key":"f","count":1,"delay_ms":3000}]'
    echo x >"$M/f" &
    local writer=$! drain
    wait_field /f state uploading
    ctl drain &
    drain=$!
    sleep 0.2
    check "another command" run_limited 2 bash -c "echo log debug >$M/$C/ctl"
    check "drain waits" kill -0 "$drain"
    check "drain" wait "$drain"
    check "writer" wait "$writer"
    check_eq "content" "$(oc get f)" x
}

t_drain_can_be_interrupted() {
    oc faults '[{"operation":"PutObject","key":"f","count":1,"stall":true}]'
    echo x >"$M/f" &
    local writer=$!
    wait_field /f state uploading
    python3 -c 'import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
f = os.open(sys.argv[1], os.O_WRONLY)
open(sys.argv[2], "w").close()
os.write(f, b"drain\n")' "$M/$C/ctl" "$T/ready" &
    local drain=$! i
    for ((i = 0; i < 400; i++)); do
        [ ! -e "$T/ready" ] || break
        sleep 0.05
    done
    sleep 0.2
    kill -INT "$drain"
    wait_gone "$drain" 5 || fail "drain does not end"
    oc faults '[]'
    wait "$writer"
}

tx_refresh() {
    service_start
    mounted_with meta_ttl=1h,open_ttl=1h
    mkdir "$M/d"
    echo old | oc put d/f >/dev/null
    check_eq "listed" "$(ls "$M/d")" ""
    ctl refresh d || fail "refresh d"
    check_eq "after refresh" "$(ls "$M/d")" f
    check_eq "content" "$(cat "$M/d/f")" old
    echo newer | oc put d/f >/dev/null
    check_eq "believed" "$(cat "$M/d/f")" old
    ctl "refresh $M/d/f" || fail "refresh with an absolute path"
    check_eq "content after refresh" "$(cat "$M/d/f")" newer
    fails "No such file" stat "$M/late"
    echo x | oc put late >/dev/null
    ctl refresh late || fail "refresh of a name that was not there"
    check_eq "content" "$(cat "$M/late")" x
    oc delete late
    ctl refresh . || fail "refresh of everything"
    fails "No such file" stat "$M/late"
    fails "Invalid argument" bash -c "exec 2>&1; echo refresh /etc >$M/$C/ctl"
    fails "Invalid argument" bash -c "exec 2>&1; echo refresh a/../b >$M/$C/ctl"
    fails "Invalid argument" bash -c "exec 2>&1; echo refresh >$M/$C/ctl"
}

# What is remembered across mounts is forgotten too: another machine's change of attributes leaves
# ETag and time as they are, so that nothing else would tell.
tx_refresh_forgets_the_index() {
    local name
    service_start
    for name in a d/b; do
        echo x | oc put "$name" x-obs-meta-mode:33188 >/dev/null
    done
    mounted_with
    ls -l "$M" "$M/d" >/dev/null
    check_eq "modes" "$(stat -c %a "$M/a" "$M/d/b" | xargs)" "644 644"
    remount
    oc reset
    ls -l "$M" "$M/d" >/dev/null
    check_eq "from the index" "$(oc log | grep -cE $'^HeadObject\t(a|d/b)\t')" 0
    check "refresh one" ctl refresh d
    ls -l "$M/d" >/dev/null
    stat "$M/d/b" >/dev/null
    check_eq "asked again below d" "$(oc log | grep -c $'^HeadObject\td/b\t')" 1
    check_eq "not elsewhere" "$(oc log | grep -c $'^HeadObject\ta\t')" 0
    check "refresh all" ctl refresh .
    remount
    oc reset
    ls -l "$M" >/dev/null
    stat "$M/a" >/dev/null
    check_eq "asked again after a remount" "$(oc log | grep -c $'^HeadObject\ta\t')" 1
}

tx_drop_caches() {
    service_start
    mounted_with meta_ttl=1h,open_ttl=1h
    make_file "$T/f" 3000000
    oc put f "$T/f" >/dev/null
    check "content" cmp "$T/f" "$M/f"
    oc reset
    check "content again" cmp "$T/f" "$M/f"
    check_eq "from memory" "$(oc requests GetObject)" 0
    check "drop-caches" ctl drop-caches
    check "content once more" cmp "$T/f" "$M/f"
    check "it was fetched" [ "$(oc requests GetObject)" -gt 0 ]
}

t_wrong_ids() {
    local id
    for id in 999 x -1 "" 99999999999999999999999 "1 2"; do
        ! (ctl "abort $id") 2>/dev/null || fail "abort '$id' did not fail"
    done
}

. "$(dirname "$0")/../mount/lib.sh"
