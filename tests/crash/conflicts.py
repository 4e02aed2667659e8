#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""conflicts - somebody else stores the same name between our Initiate and our Complete.

The service lets the upload win that was initiated later (obs-local does), so that our Complete is
answered well and the other object stays. Each case sees that this is found out, at once, and that
on_conflict is followed: never silently.

  conflicts.py [CASE|running|crashes]...
"""
import errno
import json
import os
import sys
import threading
import time

import lab
import workloads
from lab import check, content

K = 1 << 10
MINE = workloads.MULTI
THEIRS = content((41, 3000))
LONG = content((42, 24 * lab.PART + 500))


def faults(*rules):
    lab.admin("POST", "/-/faults", list(rules))


def count(op):
    return lab.op_counts().get(op, (0, 0))[0]


def wait_for(what, condition):
    until = time.monotonic() + lab.LIMIT_S
    while not condition():
        check(time.monotonic() < until, f"waited for: {what}")
        time.sleep(0.02)


def control(bench, name):
    with open(f"{bench.mnt}/.obsmount/{name}") as f:
        return f.read()


def command(bench, words):
    with open(f"{bench.mnt}/.obsmount/ctl", "w") as f:
        f.write(words)


def uploads(bench):
    return json.loads(control(bench, "uploads.json"))["uploads"]


def open_uploads(bench):
    names = {"key-marker": "NextKeyMarker", "upload-id-marker": "NextUploadIdMarker"}
    return list(bench.client.pages({"uploads": None, "prefix": bench.prefix}, "Upload", names))


def theirs(bench):
    bench.client.put((bench.prefix + "f").encode(), THEIRS)
    bench.model.begin({"f": THEIRS})


def begun(bench, data=MINE):
    """A writer whose upload was initiated, and who has not closed."""
    bench.model.begin({"f": data})
    before = count("UploadPart")
    fd = os.open(bench.mnt + "/f", os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o644)
    workloads.write_at(fd, data)
    wait_for("a part", lambda: count("UploadPart") > before)
    return fd


def close(fd):
    """The errno of close, 0 if it went well."""
    try:
        os.close(fd)
    except OSError as e:
        return e.errno
    return 0


def must_be_stale(bench, code, where="publish"):
    check(code == errno.ESTALE, f"close gave {code}, not ESTALE")
    said(bench, where)


def said(bench, where="publish"):
    """A recovery in the background says it a moment later."""
    wait_for(f"ESTALE of {where} among the errors", lambda: any(
        "ESTALE" in line and where in line for line in control(bench, "errors").splitlines()))


def settles(bench, data):
    """Everybody sees `data`, in the mount and in the bucket."""
    bench.model.done({"f": data})
    bench.finish()
    check(bench.stored().get("f") == data, "another content is stored")


# ---- within seconds, in the running mount

def error(bench):
    bench.mount()
    fd = begun(bench)
    theirs(bench)
    must_be_stale(bench, close(fd))
    check([u["state"] for u in uploads(bench)] == ["failed"], f"uploads: {uploads(bench)}")
    check(bench.state_files(".data"), "the data were thrown away")
    settles(bench, THEIRS)


def error_over(bench):
    """The same of a name that had an object."""
    bench.put("f", workloads.OLD)
    error(bench)


def keep_mine(bench):
    bench.mount(options="on_conflict=keep-mine")
    fd = begun(bench)
    theirs(bench)
    check(close(fd) == 0, "close failed")
    settles(bench, MINE)


def keep_theirs(bench):
    bench.mount(options="on_conflict=keep-theirs")
    fd = begun(bench)
    theirs(bench)
    must_be_stale(bench, close(fd))
    check(not uploads(bench), f"uploads: {uploads(bench)}")
    settles(bench, THEIRS)
    check(not bench.state_files(".data"), "the data were not dropped")


def lost_answer(bench):
    """Complete was executed and lost, and its answer did not come either."""
    bench.mount()
    fd = begun(bench)
    theirs(bench)
    faults({"operation": "CompleteMultipartUpload", "key": bench.prefix + "f", "reset": "after"})
    must_be_stale(bench, close(fd))
    settles(bench, THEIRS)


def removed(bench):
    """Somebody removes it before we have looked."""
    bench.mount()
    fd = begun(bench)
    faults({"operation": "CompleteMultipartUpload", "key": bench.prefix + "f", "delay_ms": 1500})
    before = count("CompleteMultipartUpload")
    result = []
    closer = threading.Thread(target=lambda: result.append(close(fd)))
    closer.start()
    key = (bench.prefix + "f").encode()
    wait_for("Complete", lambda: bench.stored().get("f") == MINE or count("CompleteMultipartUpload") > before)
    bench.client.request("DELETE", key)
    closer.join()
    must_be_stale(bench, result[0])
    settles(bench, None)


def one_more_request(bench):
    """What it costs where nobody interferes."""
    bench.mount()
    fd = begun(bench)
    check(close(fd) == 0, "close failed")
    heads = [r for r in lab.admin("GET", "/-/log?op=HeadObject") if r["key"] == bench.prefix + "f"]
    check(len(heads) == 1, f"{len(heads)} HEADs")
    settles(bench, MINE)


def read_meanwhile(bench):
    """A range that is not in staging is read when our Complete is done and not yet looked at."""
    bench.put("f", LONG)
    bench.mount()
    fd = os.open(bench.mnt + "/f", os.O_RDWR)
    change = content((43, 1000))
    new = change + LONG[len(change):]
    bench.model.begin({"f": new})
    os.pwrite(fd, change, 0)
    faults({"operation": "HeadObject", "key": bench.prefix + "f", "delay_ms": 2000})
    before = count("CompleteMultipartUpload")
    result = []
    closer = threading.Thread(target=lambda: result.append(close(fd)))
    reader = os.open(bench.mnt + "/f", os.O_RDONLY)
    closer.start()
    wait_for("Complete", lambda: count("CompleteMultipartUpload") > before)
    at = 20 * lab.PART
    got = os.pread(reader, 5000, at)
    closer.join()
    check(result == [0], f"close gave {result}")
    check(got == LONG[at:at + 5000], "the read brought other bytes")
    os.close(reader)
    settles(bench, new)


def staged(bench):
    """What durability=stage has promised is kept, and not sent again over theirs."""
    bench.mount(options="durability=stage")
    faults({"operation": "CompleteMultipartUpload", "key": bench.prefix + "f", "status": 503,
            "code": "ServiceUnavailable", "count": -1})
    fd = begun(bench)
    check(close(fd) == 0, "close failed")
    theirs(bench)
    faults()
    wait_for("a failed upload", lambda: [u["state"] for u in uploads(bench)] == ["failed"])
    said(bench)
    bench.umount()
    check(bench.stored().get("f") == THEIRS, "theirs was replaced")
    bench.remount(options="durability=stage")
    said(bench, "recovery")
    bench.kill()
    bench.remount(options="durability=stage,on_conflict=keep-mine")
    settles(bench, MINE)


def only_copy(bench):
    """Parts whose local data was released are not spent on a Complete that cannot win."""
    bench.mount(options=f"staging_max={8 * lab.PART}")
    fd = begun(bench, LONG)
    theirs(bench)
    must_be_stale(bench, close(fd))
    check(len(open_uploads(bench)) == 1, "the upload with the parts is gone")
    bench.client.request("DELETE", (bench.prefix + "f").encode())
    command(bench, f"retry {uploads(bench)[0]['id']}\n")
    wait_for("the object", lambda: bench.stored().get("f") == LONG)
    settles(bench, LONG)


# ---- the keys may store and list, but not read: HEAD is refused

def refuse(bench, *operations):
    """Of what is asked from now on."""
    faults(*({"operation": op, "status": 403, "code": "AccessDenied", "count": -1} for op in operations))


def logged(bench, words):
    with open(bench.log, errors="replace") as f:
        return f.read().count(words)


def no_head(bench):
    """The listing says as well that ours is seen; the log says once which right is missing."""
    bench.mount()
    for path in ("f", "g"):
        bench.model.begin({path: MINE})
        fd = os.open(f"{bench.mnt}/{path}", os.O_CREAT | os.O_WRONLY, 0o644)
        workloads.write_at(fd, MINE)
        refuse(bench, "HeadObject")
        check(close(fd) == 0, "close failed")
        faults()
        bench.model.done({path: MINE})
    told = logged(bench, "the right obs:object:GetObject is missing")
    check(told == 1, f"the log says {told} times that a right is missing")
    settles(bench, MINE)


def no_head_conflict(option, expected):
    def case(bench):
        bench.mount(options=option)
        fd = begun(bench)
        theirs(bench)
        refuse(bench, "HeadObject")
        code = close(fd)
        faults()
        check(code == (0 if expected == MINE else errno.ESTALE), f"close gave {code}")
        settles(bench, expected)
    return case


def no_head_no_list(bench):
    """Nobody may look: what Complete has answered, and the ETag in it, is all that is known."""
    before = count("InitiateMultipartUpload")
    bench.mount(options="on_conflict=keep-mine")
    fd = begun(bench)
    refuse(bench, "HeadObject", "ListObjects")
    code = close(fd)
    faults()
    check(code == 0, f"close gave {code}")
    check(count("InitiateMultipartUpload") == before + 1, "it was sent again")
    check(logged(bench, "cannot be checked") == 1, "the log does not say once that nobody may look")
    settles(bench, MINE)


def no_head_only_copy(bench):
    """Before Complete, too, where local data was released: it is not spent."""
    bench.mount(options=f"staging_max={8 * lab.PART}")
    fd = begun(bench, LONG)
    theirs(bench)
    refuse(bench, "HeadObject")
    code = close(fd)
    faults()
    must_be_stale(bench, code)
    check(len(open_uploads(bench)) == 1, "the upload with the parts is gone")
    command(bench, f"abort {uploads(bench)[0]['id']}\n")
    settles(bench, THEIRS)


# ---- the driver died in between

def crashed(option, expected, later_s, told=None):
    """Before Complete; theirs comes so many seconds after our Initiate: within the same second only
    Complete can tell who wins."""
    def case(bench):
        bench.mount(crash_at="send.complete")
        fd = begun(bench)
        close(fd)
        bench.wait_dead()
        bench.kill()
        time.sleep(later_s)
        theirs(bench)
        bench.remount(options=option)
        wait_for("a decision", lambda: all(u["state"] == "failed" for u in uploads(bench)))
        if told is not None:
            said(bench, told)
        settles(bench, expected)
    return case


def crash_spent(option, expected):
    """After a Complete that was executed, and has lost."""
    def case(bench):
        bench.mount(crash_at="answer.complete")
        fd = begun(bench)
        theirs(bench)
        close(fd)
        bench.wait_dead()
        bench.kill()
        bench.remount(options=option)
        if expected == THEIRS:
            said(bench, "recovery")
        settles(bench, expected)
    return case


def crash_no_head(point):
    """The recovery may not ask by HEAD either."""
    def case(bench):
        before = count("InitiateMultipartUpload")
        bench.mount(crash_at=point)
        fd = begun(bench)
        close(fd)
        bench.wait_dead()
        bench.kill()
        refuse(bench, "HeadObject")
        bench.remount()
        wait_for("the object", lambda: not bench.state_files(".journal"))
        faults()
        check(count("InitiateMultipartUpload") == before + 1, "it was sent again")
        settles(bench, MINE)
    return case


def kept_parts(bench):
    """Mounted, with the parts of a writer who died with the driver."""
    bench.mount()
    fd = begun(bench)
    wait_for("parts", lambda: uploads(bench)[0]["parts_stored"] >= 3)
    bench.kill()
    close(fd)
    bench.remount()


def content_match(bench):
    """An upload that was taken over from a dead writer loses against what came meanwhile."""
    kept_parts(bench)
    before = count("InitiateMultipartUpload"), count("ListParts")
    fd = os.open(bench.mnt + "/f", os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o644)
    workloads.write_at(fd, MINE)
    wait_for("the kept parts", lambda: count("ListParts") > before[1])
    wait_for("a part", lambda: any(u["parts_stored"] for u in uploads(bench)))
    check(count("InitiateMultipartUpload") == before[0], "the kept upload was not taken over")
    theirs(bench)
    must_be_stale(bench, close(fd))
    settles(bench, THEIRS)


def no_head_match(bench):
    """A kept upload is taken over by who writes the same again, also where HEAD is refused."""
    bench.put("f", workloads.OLD)
    time.sleep(1.1)
    kept_parts(bench)
    before = count("InitiateMultipartUpload")
    fd = os.open(bench.mnt + "/f", os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o644)
    refuse(bench, "HeadObject")
    workloads.write_at(fd, MINE)
    code = close(fd)
    faults()
    check(code == 0, f"close gave {code}")
    check(count("InitiateMultipartUpload") == before, "the kept upload was not taken over")
    settles(bench, MINE)


# ---- dialect s3: the upload is known by a number in the object's metadata

BIG = content((44, (11 << 20) + 77))


def s3(bench):
    bench.part = 5 << 20
    bench.options = "dialect=s3"


def s3_error(bench):
    s3(bench)
    bench.mount()
    fd = begun(bench, BIG)
    theirs(bench)
    must_be_stale(bench, close(fd))
    settles(bench, THEIRS)


def s3_lost_answer(bench):
    s3(bench)
    bench.mount()
    faults({"operation": "CompleteMultipartUpload", "key": bench.prefix + "f", "reset": "after"})
    fd = begun(bench, BIG)
    check(close(fd) == 0, "close failed")
    settles(bench, BIG)


def s3_crash(point):
    """With an attribute that only a copy onto itself can set after the upload was begun."""
    def case(bench):
        before = count("InitiateMultipartUpload")
        s3(bench)
        bench.mount(crash_at=point)
        fd = begun(bench, BIG)
        os.fchmod(fd, 0o640)
        close(fd)
        bench.wait_dead()
        bench.kill()
        bench.remount()
        wait_for("a decision", lambda: not uploads(bench))
        wait_for("the attributes", lambda: not bench.state_files(".journal"))
        check(count("InitiateMultipartUpload") - before == 1, "it was sent again")
        check(os.stat(bench.mnt + "/f").st_mode & 0o777 == 0o640, "its mode is another one")
        settles(bench, BIG)
    return case


CASES = {f.__name__: f for f in (
    error, error_over, keep_mine, keep_theirs, lost_answer, removed, one_more_request, read_meanwhile,
    staged, only_copy, no_head, no_head_no_list, no_head_only_copy, no_head_match, content_match)}
CASES.update({
    "s3_error": s3_error,
    "s3_lost_answer": s3_lost_answer,
    "s3_crash_complete": s3_crash("answer.complete"),
    "s3_crash_check": s3_crash("answer.check"),
    "s3_crash_copy": s3_crash("meta.answer"),
    "no_head_error": no_head_conflict("", THEIRS),
    "no_head_keep_mine": no_head_conflict("on_conflict=keep-mine", MINE),
    "crash_no_head_before": crash_no_head("send.complete"),
    "crash_no_head_after": crash_no_head("answer.complete"),
    "crash_error": crashed("", THEIRS, 0, ""),
    "crash_keep_mine": crashed("on_conflict=keep-mine", MINE, 0),
    "crash_error_late": crashed("", THEIRS, 2.1, "recovery"),
    "crash_keep_mine_late": crashed("on_conflict=keep-mine", MINE, 2.1),
    "crash_keep_theirs_late": crashed("on_conflict=keep-theirs", THEIRS, 2.1, "recovery"),
    "crash_spent": crash_spent("", THEIRS),
    "crash_spent_keep_mine": crash_spent("on_conflict=keep-mine", MINE),
})


def main(*names):
    report = lab.Report()
    groups = {"crashes": [c for c in CASES if "crash" in c], "running": [c for c in CASES if "crash" not in c]}
    for name in [c for n in names or CASES for c in groups.get(n, [n])]:
        report.run(lab.Bench(name), CASES[name])
        faults()
    report.end("conflicts")


if __name__ == "__main__":
    main(*sys.argv[1:])
