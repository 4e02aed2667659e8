#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""interrupted - cp, rsync and the driver end in the middle, and are started again.

  interrupted.py [CASE]...    LONG=1 in the environment: 1 GiB instead of 200 MiB for the driver's

Nothing half is published, and what was sent once is not sent again: the service counts the parts.
"""
import os
import signal
import subprocess
import sys
import time

import lab
from lab import check

M = 1 << 20
PARALLEL = 4
LONG = bool(os.environ.get("LONG"))


def sent():
    """Parts, and bytes of parts, that the service has taken."""
    return lab.op_counts().get("UploadPart", (0, 0))


def source(name, size):
    """A file with random content outside of the mount; its path."""
    path = f"{lab.T}/src-{name}"
    with open(path, "wb") as f:
        for seed in range(0, size, 4 * M):
            f.write(lab.content((seed, min(4 * M, size - seed))))
    lab.content.cache_clear()
    return path


def same(a, b):
    return subprocess.run(["cmp", "-s", a, b], check=False).returncode == 0


def start_and_end(bench, argv, sig, feed, parts):
    """Runs the command; its whole process group gets the signal when so many parts were taken. `feed`:
    the file that it gets through a pipe, which stays open, so that it cannot be done before."""
    before = sent()[0]
    p = subprocess.Popen(argv, stdin=subprocess.PIPE if feed else None, stdout=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL, start_new_session=True)
    if feed:
        with open(feed, "rb") as f:
            for _ in range(parts + 2):
                p.stdin.write(f.read(bench.part))
            p.stdin.flush()
    until = time.monotonic() + lab.LIMIT_S
    while sent()[0] - before < parts and p.poll() is None:
        check(time.monotonic() < until, f"{argv[0]} hangs")
        time.sleep(0.002)
    check(p.poll() is None, f"{argv[0]} had ended before it was interrupted")
    os.killpg(p.pid, sig)
    p.wait(lab.LIMIT_S)
    if feed:
        p.stdin.close()


def quiet():
    """Waits until no part is under way any more."""
    seen, since = sent(), time.monotonic()
    until = since + lab.LIMIT_S
    while time.monotonic() - since < 0.4:
        if sent() != seen:
            seen, since = sent(), time.monotonic()
        check(time.monotonic() < until, "parts are sent without an end")
        time.sleep(0.05)
    return seen


def objects(bench):
    return {key.decode()[len(bench.prefix):]: size for key, size, _ in
            bench.client.list(bench.prefix) if not key.endswith(b"/")}


def throttle(rate):
    """Parts are taken at so many bytes a second each, so that there is a middle."""
    lab.admin("POST", "/-/faults", [{"operation": "UploadPart", "count": -1, "rate": rate}]
              if rate else [])


def copy_again(bench, first, again, sig, size, target, old=None):
    total = -(-size // bench.part)
    before = sent()[0]
    start_and_end(bench, first[0], sig, first[1], total // 2)
    at = quiet()
    taken = at[0] - before
    shown = objects(bench)
    check(shown == ({target: old} if old else {}), f"half a file is published: {shown}")
    check(total // 2 <= taken < total, f"{taken} of {total} parts were taken")
    subprocess.run(again, check=True, timeout=lab.LIMIT_S, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    more = sent()[0] - at[0]
    check(more <= total - taken + PARALLEL,
          f"{taken} of {total} parts had been taken, {more} were sent when it was started again")
    check(objects(bench) == {target: size}, f"stored: {objects(bench)}")
    print(f"{bench.name}: {taken} of {total} parts before, {more} afterwards", flush=True)


def after(bench, target, path):
    check(same(f"{bench.mnt}/{target}", path), "the content differs")
    bench.umount()
    lab.check(not list(bench.state_files(".journal")), "a journal is left")
    bench.check_uploads()
    bench.sanitizers()


def interrupt_case(tool, sig, old=False):
    def case(bench):
        size = 60 * M + 12345
        path, m = source("copy", size), bench.mnt
        if old:
            bench.client.put((bench.prefix + "src-copy").encode(), b"old")
            time.sleep(1.1)  # an upload wins only against what is older, in whole seconds
        bench.mount()
        if tool == "cp":
            first, again = (["cp", "/dev/stdin", m + "/src-copy"], path), ["cp", path, m + "/"]
        else:
            first = (["rsync", "-t", "--bwlimit=30M", path, m + "/"], None)
            again = ["rsync", "-t", path, m + "/"]
        copy_again(bench, first, again, sig, size, "src-copy", 3 if old else None)
        after(bench, "src-copy", path)
    return case


def driver_and_cp(bench):
    """The driver dies at the half of a copy; the copy is started again."""
    size = (1024 if LONG else 200) * M
    path = source("big", size)
    bench.mount()
    before = sent()[1]
    p = subprocess.Popen(["cp", "/dev/stdin", bench.mnt + "/src-big"], stdin=subprocess.PIPE,
                         stderr=subprocess.DEVNULL)
    with open(path, "rb") as f:
        while f.tell() < size // 2 + 2 * bench.part:
            p.stdin.write(f.read(bench.part))
        p.stdin.flush()
    while sent()[1] - before < size // 2 and p.poll() is None:
        time.sleep(0.002)
    bench.driver.kill()
    p.stdin.close()
    check(p.wait(lab.LIMIT_S) != 0, "cp succeeded although the driver died")
    bench.kill()
    throttle(0)
    at = quiet()[1]
    bench.remount()
    if "src-big" not in objects(bench):
        subprocess.run(["cp", path, bench.mnt + "/"], check=True, timeout=10 * lab.LIMIT_S)
    finish_big(bench, path, size, at - before, at)


def driver_and_remount(bench):
    """The driver dies while close() waits for the second half: the mount goes on by itself."""
    size = (1024 if LONG else 200) * M
    path = source("big", size)
    total = -(-size // bench.part)
    bench.mount(crash_at=f"taken.part:{total // 2}")
    before = sent()[1]
    throttle(4 * M)
    p = subprocess.Popen(["cp", path, bench.mnt + "/"], stderr=subprocess.DEVNULL)
    check(p.wait(3 * lab.LIMIT_S) != 0, "cp succeeded although the driver died")
    bench.kill()
    throttle(0)
    at = quiet()[1]
    bench.remount()
    if "sealed" not in state_of(bench):
        subprocess.run(["cp", path, bench.mnt + "/"], check=True, timeout=10 * lab.LIMIT_S)
    finish_big(bench, path, size, at - before, at)


def state_of(bench):
    with open(bench.log, errors="replace") as f:
        return "sealed" if ": resume (" in f.read() else "open"


def finish_big(bench, path, size, first, at):
    bench.umount()
    second = sent()[1] - at
    check(objects(bench) == {"src-big": size}, f"stored: {objects(bench)}")
    limit = size - first + PARALLEL * bench.part
    check(second <= limit, f"{first >> 20} of {size >> 20} MiB had been taken; {second >> 20} MiB "
          f"were sent afterwards, at most {limit >> 20} would do")
    bench.mount()
    check(same(f"{bench.mnt}/src-big", path), "the content differs")
    bench.umount()
    bench.check_uploads()
    bench.sanitizers()
    print(f"{bench.name}: {first >> 20} MiB before, {second >> 20} MiB afterwards", flush=True)


CASES = {
    "cp_int": interrupt_case("cp", signal.SIGINT),
    "cp_term": interrupt_case("cp", signal.SIGTERM),
    "cp_kill": interrupt_case("cp", signal.SIGKILL, old=True),
    "rsync_int": interrupt_case("rsync", signal.SIGINT),
    "rsync_kill": interrupt_case("rsync", signal.SIGKILL, old=True),
    "driver_cp": driver_and_cp,
    "driver_remount": driver_and_remount,
}


def main(*names):
    report = lab.Report()
    for name in names or CASES:
        part = 4 * M if name.startswith("driver") else M
        report.run(lab.Bench(name, f"parallel={PARALLEL}", part), CASES[name])
        throttle(0)
    report.end("interrupted")


if __name__ == "__main__":
    main(*sys.argv[1:])
