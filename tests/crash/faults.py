#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""faults - the service, the disk or the local data fail: each case ends right, or with a clear error.

  faults.py [CASE|GROUP]...
"""
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import threading
import time

import lab
import workloads
from lab import check, content

K = 1 << 10
MULTI = workloads.MULTI
BIG = content((31, 1500 * K))


def faults(*rules):
    lab.admin("POST", "/-/faults", list(rules))


def count(op):
    return lab.op_counts().get(op, (0, 0))[0]


def write(bench, path, data):
    """True if the file was stored, or promised: what the model then expects."""
    bench.model.begin({path: data})
    try:
        workloads.write(f"{bench.mnt}/{path}", data)
    except OSError as e:
        return e
    bench.model.done({path: data})
    return None


def must_write(bench, path, data):
    error = write(bench, path, data)
    check(error is None, f"'{path}' is not stored: {error}")


def said(bench, *words):
    with open(bench.log, errors="replace") as f:
        text = f.read()
    check(any(w in text for w in words), f"the log says nothing of {words}: {bench.tail()}")


def complete_fault(rule, old=None):
    """One failure of Complete that the driver must clear up by itself."""
    def case(bench):
        if old:
            bench.put("f", old)
        bench.mount()
        faults(dict(rule, operation="CompleteMultipartUpload"))
        must_write(bench, "f", MULTI)
        faults()
        bench.finish()
    return case


def complete_fails(bench):
    """Complete fails for good: an error at close, the old version stays, the parts are used again."""
    bench.put("f", workloads.OLD)
    time.sleep(1.1)
    bench.mount(options="retry_time=2s")
    faults({"operation": "CompleteMultipartUpload", "status": 500, "code": "InternalError", "count": -1})
    error = write(bench, "f", MULTI)
    check(error is not None, "close succeeded although nothing could be completed")
    faults()
    bench.model.done({"f": workloads.OLD})
    said(bench, "InternalError")
    bench.check_mount()
    before = count("UploadPart")
    must_write(bench, "f", MULTI)
    check(count("UploadPart") == before, "parts that the service has were sent again")
    bench.finish()


def upload_vanishes(bench):
    """While the file is written."""
    bench.mount()
    faults({"operation": "UploadPart", "skip": 3, "drop_upload": True})
    must_write(bench, "f", MULTI)
    faults()
    bench.finish()


def no_upload_on_resume(bench):
    """Aborted by a lifecycle rule before the driver came back."""
    bench.mount(crash_at="send.complete", options="durability=stage")
    must_write(bench, "f", MULTI)
    bench.wait_dead()
    bench.kill()
    drop_uploads(bench)
    bench.remount(options="durability=stage")
    bench.finish()
    check(bench.stored().get("f") == MULTI, "the file was not stored")


def drop_uploads(bench):
    names = {"key-marker": "NextKeyMarker", "upload-id-marker": "NextUploadIdMarker"}
    found = list(bench.client.pages({"uploads": None, "prefix": bench.prefix}, "Upload", names))
    check(found, "there is no upload")
    for u in found:
        key = lab.urllib.parse.unquote_plus(u["Key"]).encode()
        bench.client.request("DELETE", key, {"uploadId": u["UploadId"]})


def give_keys(bench, number, expire=None):
    """New keys come into the file; those of that number expire before."""
    if expire is not None:
        lab.admin("POST", "/-/credentials", {"expire": [f"KEYS{bench.prefix[:-1]}{expire}"]})
    if number is None:
        return
    text = f"KEYS{bench.prefix[:-1]}{number}:secret{number}"
    lab.admin("POST", "/-/credentials", {"add": [text]})
    bench.keys = bench.dir + "/keys"
    with open(bench.keys + ".new", "w", opener=lambda p, f: os.open(p, f, 0o600)) as f:
        f.write(text + "\n")
    os.rename(bench.keys + ".new", bench.keys)


def credentials_expire(bench):
    """In the middle of an upload; new ones come into the file."""
    give_keys(bench, 1)
    bench.mount()
    fd = os.open(bench.mnt + "/f", os.O_CREAT | os.O_WRONLY, 0o644)
    bench.model.begin({"f": MULTI})
    before = count("UploadPart")
    workloads.write_at(fd, MULTI[:400 * K])
    until = time.monotonic() + lab.LIMIT_S
    while count("UploadPart") - before < 2 and time.monotonic() < until:
        time.sleep(0.01)
    give_keys(bench, 2, expire=1)
    workloads.write_at(fd, MULTI[400 * K:], 400 * K)
    os.close(fd)
    bench.model.done({"f": MULTI})
    bench.finish()


def credentials_expired_at_mount(bench):
    """What was promised stays, locally and on the server, as long as the keys are of no use: whether the
    mount is refused, or they expire a moment later. With new ones in the file it goes on by itself."""
    def is_kept(when):
        check(bench.state_files(".journal") and bench.state_files(".data"), f"the data are gone {when}")
        check(len(open_uploads(bench)) == 1, f"{when} the uploads are {open_uploads(bench)}")

    give_keys(bench, 1)
    bench.mount(crash_at="send.complete", options="durability=stage")
    must_write(bench, "f", MULTI)
    bench.wait_dead()
    bench.kill()
    give_keys(bench, None, expire=1)
    try:
        bench.mount(options="durability=stage")
    except lab.Failed as refused:
        check("expired" in str(refused).lower(), f"the mount does not say why: {refused}")
    else:
        raise lab.Failed("it is mounted with keys that have expired")
    is_kept("after a mount that was refused")

    give_keys(bench, 2)
    sent = count("UploadPart")
    faults(*({"operation": op, "expired_token": True, "count": -1} for op in ("HeadObject", "ListParts")))
    bench.remount(options="durability=stage,retry_time=1s")
    give_keys(bench, None, expire=2)
    faults()
    said(bench, "the server did not say what it has")
    is_kept("while the keys are of no use")
    give_keys(bench, 3)
    until = time.monotonic() + 2 * lab.LIMIT_S  # it is tried again after half a minute
    while "f" not in bench.stored():
        check(time.monotonic() < until, "it does not go on with new keys")
        time.sleep(0.2)
    check(count("UploadPart") == sent, "parts that the service has were sent again")
    bench.finish()
    check(bench.stored().get("f") == MULTI, "the file was not stored")


def listed(bench):
    with open(bench.mnt + "/.obsmount/uploads.json") as f:
        return json.load(f)["uploads"]


def wrong_etag(operation, times):
    """The answer does not have the ETag that the whole must have: once more from staging, under a new
    upload; if that does not help it is an error, and the data are kept."""
    def case(bench):
        bench.put("f", workloads.OLD)
        time.sleep(1.1)
        bench.mount()
        before = count("InitiateMultipartUpload")
        faults({"operation": operation, "key": bench.prefix + "f", "wrong_etag": True, "count": times})
        error = write(bench, "f", MULTI)
        faults()
        begun = count("InitiateMultipartUpload") - before
        said(bench, "checksum mismatch")
        if times > 0:
            check(error is None, f"it was not sent again: {error}")
            check(begun == 1 + times, f"{begun} uploads")
        else:
            check(error and error.errno == lab.errno.EIO, f"close gave {error}")
            check(begun == 3, f"{begun} uploads")
            check([u["state"] for u in listed(bench)] == ["failed"], f"uploads are {listed(bench)}")
            check(bench.state_files(".data"), "the data are not kept")
            bench.model.may["f"] = {workloads.OLD, MULTI}  # what was completed was right
        bench.finish()
    return case


def bucket_deleted(bench):
    """An error that names it; the data wait for the bucket to come back (durability=stage)."""
    bucket = lab.client("gone")
    bucket.request("PUT")
    bench.bucket, bench.client = "gone", bucket
    bench.mount(options="durability=stage,retry_time=1s")
    bucket.request("DELETE")
    must_write(bench, "f", workloads.SMALL)  # it is staged: that was promised
    wait_log(bench, "NoSuchBucket")
    bench.kill()
    bucket.request("PUT")
    bench.remount(options="durability=stage")
    bench.finish()
    check(bench.stored().get("f") == workloads.SMALL, "what was promised is not stored")
    bucket.request("DELETE", (bench.prefix + "f").encode())
    bucket.request("DELETE")


def bucket_deleted_store(bench):
    bucket = lab.client("gone")
    bucket.request("PUT")
    bench.bucket, bench.client = "gone", bucket
    bench.mount(options="retry_time=1s")
    bucket.request("DELETE")
    error = write(bench, "f", MULTI)
    check(error is not None, "close succeeded although there is no bucket")
    said(bench, "NoSuchBucket")
    check(bench.state_files(".data"), "the data are not kept")
    bench.umount()
    bench.sanitizers()


def wait_log(bench, word):
    until = time.monotonic() + lab.LIMIT_S
    while time.monotonic() < until:
        with open(bench.log, errors="replace") as f:
            if word in f.read():
                return
        time.sleep(0.05)
    raise lab.Failed(f"the log does not say {word}")


def full_disk(level):
    def case(bench):
        os.mkdir(bench.state)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", bench.state], check=True)
        try:
            bench.put("old", workloads.OLD)
            bench.mount(options=level)
            must_write(bench, "small", workloads.SMALL)
            for name, data in (("big", content((32, 12000 * K))), ("old", content((33, 12000 * K)))):
                error = write(bench, name, data)
                check(error is None or error.errno == lab.errno.ENOSPC, f"not ENOSPC: {error}")
                if error:  # as on a local disk: what was written before stands
                    prefix_is_right(bench, name, data)
            must_write(bench, "after", MULTI)
            bench.finish()
        finally:
            bench.kill()
            subprocess.run(["umount", bench.state], check=False)
    return case


def prefix_is_right(bench, name, data):
    with open(f"{bench.mnt}/{name}", "rb") as f:
        got = f.read()
    check(got == data[:len(got)] or got in bench.model.may[name],
          f"'{name}' has {len(got)} bytes that nobody wrote")
    bench.model.begin({name: got})


def flip(path, rng, bits, where=None):
    with open(path, "r+b") as f:
        size = os.path.getsize(path)
        for _ in range(bits):
            at = rng.randrange(*(where or (0, size)))
            f.seek(at)
            byte = f.read(1)[0]
            f.seek(at)
            f.write(bytes([byte ^ (1 << rng.randrange(8))]))


def kept_or_right(bench):
    """After local damage: the whole new content, or the old one with everything kept and said."""
    bench.remount()
    bench.model.may["f"] = {workloads.OLD, MULTI}
    bench.finish(uploads=False)  # a journal that cannot be read knows of none
    if bench.stored().get("f") != MULTI:
        check(bench.state_files(".journal") and bench.state_files(".data"), "the data were thrown away")
        said(bench, "damaged", "left as it is", "died before")


def flipped_journal(seed, level):
    def case(bench):
        bench.put("f", workloads.OLD)
        time.sleep(1.1)
        bench.mount(crash_at="answer.part:4", options=level)
        write(bench, "f", MULTI)
        bench.wait_dead()
        bench.kill()
        rng = random.Random(seed)
        for path in bench.state_files(".journal").values():
            flip(path, rng, 1 + seed % 3)
        kept_or_right(bench)
    return case


def flipped_staging(bench):
    """Bytes of a part whose digest is known: found out when the part has to be sent again."""
    bench.put("f", workloads.OLD)
    time.sleep(1.1)
    bench.mount(crash_at="send.complete", options="durability=stage")
    write(bench, "f", MULTI)
    bench.wait_dead()
    bench.kill()
    drop_uploads(bench)
    for path in bench.state_files(".data").values():
        flip(path, random.Random(5), 1, (0, 500 * K))
    bench.remount(options="durability=stage")
    bench.model.may["f"] = {workloads.OLD}
    bench.finish()
    check(bench.state_files(".journal") and bench.state_files(".data"), "the data were thrown away")
    said(bench, "damaged")


def initiate(bench, path):
    answer = bench.client.request("POST", (bench.prefix + path).encode(), {"uploads": None})[2]
    return next(lab.obsclient.strip(lab.obsclient.ET.fromstring(answer)).iter("UploadId")).text


def open_uploads(bench):
    names = {"key-marker": "NextKeyMarker", "upload-id-marker": "NextUploadIdMarker"}
    return {u["UploadId"] for u in bench.client.pages({"uploads": None, "prefix": bench.prefix}, "Upload", names)}


def foreign_uploads(bench):
    """Uploads that are nobody's here, and must stay: an older one of the same key, one with a part, one
    of another key."""
    ids = [initiate(bench, path) for path in ("f", "f", "f2")]
    bench.client.request("PUT", (bench.prefix + "f").encode(), {"partNumber": "1", "uploadId": ids[1]}, body=b"x")
    time.sleep(3.1)  # the window is a second wider on both sides
    ids.append(initiate(bench, "f"))
    bench.client.request("PUT", (bench.prefix + "f").encode(), {"partNumber": "1", "uploadId": ids[3]}, body=b"x")
    return set(ids)


def orphan(rule):
    """An Initiate whose answer does not come: the upload that it opened is aborted, and no other."""
    def case(bench):
        foreign = foreign_uploads(bench)
        bench.mount()
        faults(dict(rule, operation="InitiateMultipartUpload", key=bench.prefix + "f"))
        must_write(bench, "f", MULTI)
        faults()
        bench.umount()
        check(open_uploads(bench) == foreign, f"uploads: {open_uploads(bench)}, not {foreign}")
        bench.mount()
        bench.finish(uploads=False)
    return case


def orphan_failed(bench):
    """The same, and the service does not come back before the file is given up."""
    foreign = foreign_uploads(bench)
    bench.mount(options="retry_time=1s")
    faults({"operation": "InitiateMultipartUpload", "status": 500, "code": "InternalError", "after": True,
            "count": -1})
    check(write(bench, "f", MULTI) is not None, "close succeeded without an upload")
    faults()
    until = time.monotonic() + lab.LIMIT_S
    while open_uploads(bench) != foreign:
        check(time.monotonic() < until, f"uploads: {open_uploads(bench)}, not {foreign}")
        time.sleep(0.1)
    bench.model.done({"f": None})
    bench.finish(uploads=False)


def orphan_of_a_crash(bench):
    """The driver dies between the request and its answer: the next mount clears it away."""
    foreign = foreign_uploads(bench)
    bench.mount(crash_at="answer.initiate")
    write(bench, "f", MULTI)
    bench.wait_dead()
    bench.kill()
    check(len(open_uploads(bench)) == len(foreign) + 1, "nothing was initiated")
    bench.remount()
    bench.finish(uploads=False)
    check(open_uploads(bench) == foreign, f"uploads: {open_uploads(bench)}, not {foreign}")


def service_down():
    for_ever = {"status": 503, "code": "ServiceUnavailable", "count": -1}
    faults(*({"operation": op, **for_ever} for op in ("PutObject", "UploadPart")))


def refused_more(tries):
    """Waits until the service has refused so many parts more."""
    enough, until = count("UploadPart") + tries, time.monotonic() + lab.LIMIT_S
    while count("UploadPart") < enough:
        check(time.monotonic() < until, "the parts are not tried again")
        time.sleep(0.05)


def damaged(bench, where):
    """Nothing wrong is stored; the data stay, listed as failed, and the errors say why."""
    until = time.monotonic() + lab.LIMIT_S
    while True:
        with open(bench.mnt + "/.obsmount/uploads.json") as f:
            states = [u["state"] for u in json.load(f)["uploads"]]
        if states == ["failed"]:
            break
        check(time.monotonic() < until, f"uploads are {states}")
        time.sleep(0.05)
    with open(bench.mnt + "/.obsmount/errors") as f:
        text = f.read()
    check(f" {where} EIO " in text, f"the errors say nothing of it: {text}")
    bench.model.may["f"] = {workloads.OLD}
    bench.finish()
    check(bench.state_files(".journal") and bench.state_files(".data"), "the data were thrown away")


def flipped_unsent(data, where):
    """A bit of what was promised and not sent at all, in the part that holds the byte `where`."""
    def case(bench):
        bench.put("f", workloads.OLD)
        bench.mount(options="durability=stage")
        service_down()
        must_write(bench, "f", data)
        bench.kill()
        faults()
        for path in bench.state_files(".data").values():
            flip(path, random.Random(5), 1, where)
        bench.remount(options="durability=stage")
        damaged(bench, "recovery")
    return case


def flipped_while_waiting(bench):
    """The same without a crash: the part is not completed."""
    bench.put("f", workloads.OLD)
    bench.mount(options="durability=stage")
    service_down()
    must_write(bench, "f", MULTI)
    for path in bench.state_files(".data").values():
        flip(path, random.Random(6), 1, (600 * K, 700 * K))
    refused_more(2 * (len(MULTI) // lab.PART + 1))  # what was read before the flip is not what is stored
    faults()
    damaged(bench, "publish")


def sealed_again(change):
    """What was sealed is written again, sealed again and crashes: the last content is stored."""
    def case(bench):
        bench.put("f", workloads.OLD)
        bench.mount(options="durability=stage,retry_time=1s")  # a try holds writers up
        service_down()
        must_write(bench, "f", MULTI)
        for round_ in range(2):
            new = change(bench.mnt + "/f", bench, round_)
            bench.model.done({"f": new})
        bench.kill()
        faults()
        bench.remount(options="durability=stage")
        bench.finish()
        check(bench.stored().get("f") == new, "the last content was not stored")
    return case


def edit(path, data, at, piece, bench, cut=None):
    """A try that ends in the background is no error of the writer: what was acknowledged is safe."""
    new = (data[:at] + bytes(max(0, at - len(data))) + piece + data[at + len(piece):])[:cut]
    bench.model.begin({"f": new})
    fd = os.open(path, os.O_RDWR)
    try:
        os.pwrite(fd, piece, at)
        if cut:
            os.ftruncate(fd, cut)
    finally:
        os.close(fd)
    return new


def appended(path, bench, round_):
    data = MULTI if round_ == 0 else edit.last
    edit.last = edit(path, data, len(data), content((34 + round_, 1000)), bench)
    return edit.last


def patched(path, bench, round_):
    data = MULTI if round_ == 0 else edit.last
    edit.last = edit(path, data, (100 + 300 * round_) * K, content((36, 5000)), bench)
    return edit.last


def cut_and_grown(path, bench, round_):
    data = MULTI if round_ == 0 else edit.last
    at = 650 * K if round_ == 0 else 900 * K
    edit.last = edit(path, data, at, content((37, 100)), bench, 651 * K if round_ == 0 else None)
    return edit.last


def syncs_while_published(bench):
    """Content is sealed, synced and published at the same time, again and again: what the last fsync
    has promised is not lost with the journal of what was stored before."""
    bench.mount(options="durability=stage")
    promised, end = [0], time.monotonic() + 2

    def data(n):
        return b"%08d" % n * 600

    def writer(fd):
        n = 0
        while time.monotonic() < end:
            n += 1
            bench.model.begin({"f": data(n)})
            os.pwrite(fd, data(n), 0)
            os.fsync(fd)
            promised[0] = n

    bench.model.begin({"f": b""})  # by an fsync that comes before the first write
    fds = [os.open(bench.mnt + "/f", os.O_CREAT | os.O_RDWR, 0o644) for _ in range(2)]
    threads = [threading.Thread(target=writer, args=(fds[0],))]
    threads.append(threading.Thread(target=lambda: [os.fsync(fds[1]) for _ in iter(threads[0].is_alive, False)]))
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    bench.kill()
    bench.model.done({"f": data(promised[0])})
    bench.remount(options="durability=stage")
    bench.finish()
    check(promised[0] > 1, "nothing was promised")
    for fd in fds:
        try:
            os.close(fd)
        except OSError:
            pass


def empty_at_a_crash(old, level):
    """close() of what was only created, or cut, does not wait: the journal has it."""
    def case(bench):
        if old:
            bench.put("f", old)
        bench.mount(crash_at="send.put", options=level)
        bench.model.begin({"f": b""})
        os.close(os.open(bench.mnt + "/f", os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o644))
        bench.model.done({"f": b""})
        bench.wait_dead()
        bench.kill()
        bench.remount(options=level)
        bench.finish()
        check(bench.stored().get("f") == b"", "the empty file is not stored")
    return case


def empty_without_service(bench):
    """durability=stage: it waits for the service like any other."""
    bench.mount(options="durability=stage,retry_time=1s")
    service_down()
    os.close(os.open(bench.mnt + "/f", os.O_CREAT | os.O_WRONLY, 0o644))
    bench.model.exists("f", b"")
    wait_log(bench, "is not stored")
    check(os.path.exists(bench.mnt + "/f"), "the name has vanished")
    bench.kill()
    faults()
    bench.remount(options="durability=stage")
    bench.finish()
    check(bench.stored().get("f") == b"", "the empty file is not stored")


def opened_at_a_crash(bench):
    """As `command > f`: the shell closes its descriptor before the command writes. If the driver dies
    then, the old version stays."""
    bench.put("f", workloads.OLD)
    bench.mount()
    fd = os.open(bench.mnt + "/f", os.O_WRONLY | os.O_TRUNC)
    os.close(os.dup(fd))
    bench.kill()
    try:
        os.close(fd)
    except OSError:
        pass
    bench.remount()
    bench.finish()
    check(bench.stored().get("f") == workloads.OLD, "an empty file was stored")


def first_part_last(bench):
    """The journal knows of later parts only: the first one is noted as well when it is sent."""
    bench.mount(crash_at="taken.part:5")
    faults({"operation": "UploadPart", "query": "*partNumber=1&*", "delay_ms": 60000, "count": -1},
           {"operation": "UploadPart", "query": "*partNumber=1", "delay_ms": 60000, "count": -1})
    write(bench, "f", MULTI)
    bench.wait_dead()
    bench.kill()
    faults()
    bench.remount()
    bench.finish()
    check(bench.stored().get("f") == MULTI, "what was closed is not stored")
    with open(bench.log, errors="replace") as f:
        check("cannot be resumed" not in f.read(), "a part could not be noted")


def held_at_a_crash(level, keep, state):
    """Nobody renames a temporary name any more: it counts as interrupted (`state`), or is dropped."""
    def case(bench):
        bench.mount(options=level)
        workloads.write(bench.mnt + "/.f.Ab12Cd", workloads.SMALL)
        bench.kill()
        bench.remount(options=f"{level},{keep}".strip(","))
        with open(bench.mnt + "/.obsmount/uploads.json") as f:
            states = [u["state"] for u in json.load(f)["uploads"]]
        check(states == ([state] if state else []), f"uploads are {states}")
        bench.umount()
        check(not bench.stored(), f"stored: {list(bench.stored())}")
        check(bool(bench.state_files(".data")) == bool(state), "the data are " + ("gone" if state else "kept"))
        bench.sanitizers()
    return case


def power_cut(point, after):
    """The machine dies with the driver: of the state directory only what was synced is left. A copy of
    the image of its filesystem, as it is at that moment on its disk, is what the next mount finds."""
    def case(bench):
        image, left = bench.dir + "/disk", bench.dir + "/disk.left"
        if not make_disk(image):
            print(f"{bench.name}: skipped, there is no ext4 or no loop device", flush=True)
            return
        os.mkdir(bench.state)
        bench.put("f", workloads.OLD)
        time.sleep(1.1)
        try:
            mount_disk(image, bench.state)
            bench.mount(crash_at=point)
            fd = os.open(bench.mnt + "/f", os.O_WRONLY | os.O_TRUNC)
            bench.model.begin({"f": MULTI})
            try:
                workloads.write_at(fd, MULTI[:400 * K])
                os.fchmod(fd, 0o640)  # after the upload was begun: sent by itself at the end
                workloads.write_at(fd, MULTI[400 * K:], 400 * K)
            except OSError:
                pass
            quietly_closed(fd)
            bench.wait_dead()
            shutil.copyfile(image, left)
            bench.kill()
            subprocess.run(["umount", bench.state], check=True)
            mount_disk(left, bench.state)
            bench.remount()
            after(bench)
            bench.finish()
        finally:
            bench.kill()
            subprocess.run(["umount", bench.state], check=False, stderr=subprocess.DEVNULL)
    return case


def make_disk(image):
    with open(image, "wb") as f:
        f.truncate(64 << 20)
    made = subprocess.run(["mkfs.ext4", "-q", "-m", "0", image], check=False, capture_output=True)
    return made.returncode == 0 and os.path.exists("/dev/loop-control")


def mount_disk(image, where):
    """Nothing is written back but what somebody syncs, for as long as a test takes."""
    subprocess.run(["mount", "-o", "loop,commit=300", image, where], check=True)


def quietly_closed(fd):
    try:
        os.close(fd)
    except OSError:
        pass


def is_known(bench):
    """The parts on the server are in a journal, or gone (finish() looks)."""
    bench.check_uploads()


def has_its_mode(bench):
    check(bench.stored().get("f") == MULTI, "Complete was executed, but the object is not there")
    until = time.monotonic() + lab.LIMIT_S
    while os.stat(bench.mnt + "/f").st_mode & 0o777 != 0o640:
        check(time.monotonic() < until, "the mode that was set before close is lost")
        time.sleep(0.1)


COMPLETE = {
    "lost_answer": {"reset": "after"},
    "lost_request": {"reset": "before"},
    "500": {"status": 500, "code": "InternalError", "count": 2},
    "500_after": {"status": 500, "code": "InternalError", "after": True},
    "503": {"status": 503, "code": "ServiceUnavailable", "count": 3},
    "in_200": {"in_200": True, "status": 500, "code": "InternalError"},
}
CASES = {f"complete_{name}": complete_fault(rule) for name, rule in COMPLETE.items()}
CASES.update({f"complete_{name}_over": complete_fault(COMPLETE[name], workloads.OLD)
              for name in ("lost_answer", "in_200")})
CASES.update({f.__name__: f for f in (
    complete_fails, upload_vanishes, no_upload_on_resume, credentials_expire, bucket_deleted,
    bucket_deleted_store, flipped_staging)})
CASES["full_disk"] = full_disk("")
CASES["full_disk_stage"] = full_disk("durability=stage")
CASES.update({f"flipped_journal_{n}": flipped_journal(n, "durability=stage" if n % 2 else "")
              for n in range(12)})


# what else there is: one group for each test of CMakeLists.txt
GROUPS = {
    "orphans": {f.__name__: f for f in (orphan_failed, orphan_of_a_crash)},
    "sealed": {f.__name__: f for f in (flipped_while_waiting, syncs_while_published)},
}
GROUPS["verify"] = {
    "credentials_expired_at_mount": credentials_expired_at_mount,
    "wrong_etag_once": wrong_etag("CompleteMultipartUpload", 1),
    "wrong_etag_twice": wrong_etag("CompleteMultipartUpload", 2),
    "wrong_etag_always": wrong_etag("CompleteMultipartUpload", -1),
    "wrong_etag_seen": wrong_etag("HeadObject", -1),
}
GROUPS["power"] = {
    "power_part": power_cut("answer.part:1", is_known),
    "power_parts": power_cut("taken.part:3", is_known),
    "power_complete": power_cut("answer.complete", has_its_mode),
}
GROUPS["orphans"].update({
    "orphan_lost_answer": orphan({"reset": "after"}),
    "orphan_500_after": orphan({"status": 500, "code": "InternalError", "after": True}),
})
GROUPS["sealed"].update({
    "flipped_unsent_first": flipped_unsent(MULTI, (0, 100 * K)),
    "flipped_unsent_last": flipped_unsent(MULTI, (690 * K, 700 * K)),
    "flipped_unsent_small": flipped_unsent(workloads.SMALL, (0, len(workloads.SMALL))),
})
GROUPS["sealed"].update({
    "empty_created": empty_at_a_crash(None, ""),
    "empty_cut": empty_at_a_crash(workloads.OLD, ""),
    "empty_created_stage": empty_at_a_crash(None, "durability=stage"),
    "empty_without_service": empty_without_service,
    "first_part_last": first_part_last,
    "opened_at_a_crash": opened_at_a_crash,
    "held_kept": held_at_a_crash("", "", "interrupted"),
    "held_dropped": held_at_a_crash("", "keep_interrupted=0", None),
    "held_staged_kept": held_at_a_crash("durability=stage", "", "interrupted"),
    "held_staged_dropped": held_at_a_crash("durability=stage", "keep_interrupted=0", None),
})
GROUPS["sealed"].update({f"sealed_again_{f.__name__}": sealed_again(f) for f in (appended, patched, cut_and_grown)})


def main(*names):
    report = lab.Report()
    known = {name: case for group in (CASES, *GROUPS.values()) for name, case in group.items()}
    chosen = [n for name in names or CASES for n in GROUPS.get(name, [name])]
    for name in chosen:
        report.run(lab.Bench(name), known[name])
        faults()
    report.end("faults")


if __name__ == "__main__":
    main(*sys.argv[1:])
