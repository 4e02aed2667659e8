#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""workloads - what programs do to a mount while its driver dies.

Each workload is what is stored before, and steps. A step has a function that carries it out and its
effects: path -> content once it has succeeded. As a program: workloads.py NAME MOUNTPOINT SRC carries
out the steps and says "S n" before and "D n" after each one; it stops at the first that fails.
"""
import os
import signal
import subprocess
import sys
import time

import lab
from lab import PART, ZEROS, content

K = 1 << 10
SMALL = content((1, 3000))
MULTI = content((2, 700 * K))
OLD = content((3, 500 * K))
LARGE = content((4, 900 * K))
MTIME = 1_500_000_000


class Workload:
    def __init__(self, before=None, steps=(), one_of=(), attrs=None, temp_ok=None, options=""):
        self.before = before or {}
        self.steps = steps      # (function, effects)
        self.one_of = one_of    # (content, paths)
        self.attrs = attrs      # path -> (mode, mtime) once all steps are done
        self.temp_ok = temp_ok
        self.options = options


def write_at(fd, data, at=0, chunk=64 * K):
    for i in range(0, len(data), chunk):
        os.pwrite(fd, data[i:i + chunk], at + i)


def write(path, data, flags=os.O_CREAT | os.O_WRONLY | os.O_TRUNC):
    fd = os.open(path, flags, 0o644)
    try:
        write_at(fd, data)
    except OSError:
        os.close(fd)
        raise
    os.close(fd)


def writes(name, data):
    return (lambda m, src: write(f"{m}/{name}", data), {name: data})


def patched(data, *pieces):
    out = bytearray(data)
    for at, piece in pieces:
        out[at:at + len(piece)] = piece
    return bytes(out)


def patch(path):
    fd = os.open(path, os.O_RDWR)
    write_at(fd, content((11, 5000)), 400 * K)
    write_at(fd, content((12, 100)), 700 * K)
    os.close(fd)


def modify(m, src):
    patch(m + "/f")


def modify_a(m, src):
    patch(m + "/a")


def modify_da(m, src):
    patch(m + "/d/a")


def copy_and_patch(m, src):
    """Parts that the server copies from another object, and one that is sent."""
    source = os.open(m + "/f", os.O_RDONLY)
    fd = os.open(m + "/g", os.O_CREAT | os.O_WRONLY, 0o644)
    if os.copy_file_range(source, fd, 600 * K, 100 * K, 0) != 600 * K:
        raise OSError("copied less")
    write_at(fd, content((16, 5000)), 250 * K)
    os.close(source)
    os.close(fd)


def append(m, src):
    fd = os.open(m + "/f", os.O_WRONLY | os.O_APPEND)
    os.write(fd, content((13, 10 * K)))
    os.close(fd)


def cut_and_grow(m, src):
    fd = os.open(m + "/f", os.O_RDWR)
    os.ftruncate(fd, 200 * K)
    os.ftruncate(fd, 800 * K)
    write_at(fd, content((14, 2000)), 600 * K)
    os.close(fd)


def empty_and_write(m, src):
    fd = os.open(m + "/f", os.O_RDWR)
    write_at(fd, content((15, 100 * K)), 300 * K)
    os.ftruncate(fd, 0)
    write_at(fd, MULTI)
    os.close(fd)


def fsync_between(m, src):
    """Two steps in one open file: the first ends with fsync."""
    fd = os.open(m + "/f", os.O_CREAT | os.O_RDWR, 0o644)
    write_at(fd, MULTI[:300 * K])
    os.fsync(fd)
    say("D 0")
    say("S 1")
    write_at(fd, MULTI[300 * K:], 300 * K)
    os.close(fd)


def rename_open(m, src):
    """Two steps: renamed while it is being changed, then closed."""
    fd = os.open(m + "/f", os.O_RDWR)
    write_at(fd, content((11, 5000)), 400 * K)
    write_at(fd, content((12, 100)), 700 * K)
    os.rename(m + "/f", m + "/b")
    say("D 0")
    say("S 1")
    os.close(fd)


def command(*argv):
    def run(m, src):
        done = subprocess.run([a.format(m=m, src=src) for a in argv], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, check=False)
        if done.returncode != 0:
            raise OSError(f"{argv[0]}: {done.returncode}")
    return run


def touch(m, src):
    os.utime(m + "/f", (MTIME, MTIME))
    os.chmod(m + "/f", 0o640)
    fd = os.open(m + "/f", os.O_RDWR)
    os.fsync(fd)
    os.close(fd)


def killed_writer(m, src):
    pid = os.fork()
    if pid == 0:
        try:
            fd = os.open(m + "/f", os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o644)
            write_at(fd, MULTI[:550 * K])
            time.sleep(0.1)
        except OSError:
            pass
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    os.stat(m + "/.")


def unlink_unfinished(m, src):
    fd = os.open(m + "/f", os.O_CREAT | os.O_WRONLY, 0o644)
    write_at(fd, MULTI)
    os.unlink(m + "/f")
    os.close(fd)


def prepare(src):
    """Files outside of the mount that commands copy from."""
    os.makedirs(src + "/tree", exist_ok=True)
    for name, data in (("f", MULTI), ("tree/f", MULTI), ("tree/s", SMALL)):
        write(f"{src}/{name}", data)
        os.chmod(f"{src}/{name}", 0o640)
        os.utime(f"{src}/{name}", (MTIME, MTIME))


GROWN = patched(LARGE[:200 * K] + bytes(600 * K), (600 * K, content((14, 2000))))
PATCHED = patched(LARGE, (400 * K, content((11, 5000))), (700 * K, content((12, 100))))
CUT = LARGE[:300 * K]
CUT_GROWN = CUT + bytes(200 * K)

ALL = {
    "small": Workload(steps=[writes("f", SMALL)]),
    "multi": Workload(steps=[writes("d/f", MULTI)], before={"d/x": SMALL}),
    "overwrite": Workload({"f": OLD}, [writes("f", MULTI)]),
    "overwrite_small": Workload({"f": SMALL}, [writes("f", SMALL[:1000])]),
    "modify": Workload({"f": LARGE}, [(modify, {"f": PATCHED})]),
    "append": Workload({"f": LARGE}, [(append, {"f": LARGE + content((13, 10 * K))})]),
    "cut_and_grow": Workload({"f": LARGE}, [(cut_and_grow, {"f": GROWN})]),
    "empty_and_write": Workload({"f": LARGE}, [(empty_and_write, {"f": MULTI})]),
    "rsync": Workload({"t/f": OLD}, [(command("rsync", "-rtp", "{src}/tree/", "{m}/t"),
                                      {"t/f": MULTI, "t/s": SMALL})],
                      attrs={"t/f": (0o640, MTIME), "t/s": (0o640, MTIME)},
                      temp_ok={MULTI, SMALL}),
    "cp_within": Workload({"f": LARGE, "g": OLD}, [(command("cp", "{m}/f", "{m}/g"), {"g": LARGE})]),
    "copy_and_patch": Workload({"f": LARGE}, [
        (copy_and_patch, {"g": patched(LARGE[100 * K:700 * K], (250 * K, content((16, 5000))))})]),
    "cp_p": Workload({"f": OLD}, [(command("cp", "-p", "{src}/f", "{m}/f"), {"f": MULTI})],
                     attrs={"f": (0o640, MTIME)}),
    "rename": Workload({"a": OLD, "b": SMALL},
                       [(lambda m, src: os.rename(m + "/a", m + "/b"), {"a": None, "b": OLD})],
                       one_of=[(OLD, ("a", "b"))]),
    "write_rename": Workload({"b": SMALL}, [
        writes("a", MULTI), (lambda m, src: os.rename(m + "/a", m + "/b"), {"a": None, "b": MULTI}),
        writes("a", SMALL)]),
    "rename_open": Workload({"f": LARGE, "b": SMALL}, [
        (rename_open, {"f": None, "b": LARGE}), (None, {"b": PATCHED})]),
    "write_rename_stored": Workload({"a": LARGE, "b": SMALL}, [
        (modify_a, {"a": PATCHED}),
        (lambda m, src: os.rename(m + "/a", m + "/b"), {"a": None, "b": PATCHED})]),
    "write_rename_dir": Workload({"d/a": LARGE}, [
        (modify_da, {"d/a": PATCHED}),
        (lambda m, src: os.rename(m + "/d", m + "/e"), {"d/a": None, "e/a": PATCHED})]),
    "rename_dir": Workload({"d/1": OLD, "d/2": SMALL},
                           [(lambda m, src: os.rename(m + "/d", m + "/e"),
                             {"d/1": None, "d/2": None, "e/1": OLD, "e/2": SMALL})],
                           one_of=[(OLD, ("d/1", "e/1")), (SMALL, ("d/2", "e/2"))]),
    "unlink": Workload({"f": OLD}, [(lambda m, src: os.unlink(m + "/f"), {"f": None})]),
    "unlink_unfinished": Workload(steps=[(unlink_unfinished, {"f": None})]),
    "truncate": Workload({"f": LARGE}, [
        (lambda m, src: os.truncate(m + "/f", 300 * K), {"f": CUT}),
        (lambda m, src: os.truncate(m + "/f", 500 * K), {"f": CUT_GROWN})]),
    "touch": Workload({"f": OLD}, [(touch, {"f": OLD})], attrs={"f": (0o640, MTIME)}),
    "fsync": Workload(steps=[(fsync_between, {"f": MULTI[:300 * K]}), (None, {"f": MULTI})]),
    "killed_writer": Workload(steps=[(killed_writer, {}), writes("f", MULTI)]),
}


def say(text):
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main(name, m, src):
    for i, (run, _) in enumerate(ALL[name].steps):
        if run:
            say(f"S {i}")
            run(m, src)
        say(f"D {i}")


def carry_out(bench, name, src):
    """Runs a workload on the bench's mount; its model knows what was promised. True: all was done."""
    w = ALL[name]
    p = subprocess.Popen([sys.executable, __file__, name, bench.mnt, src], stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL, text=True)
    try:
        out, _ = p.communicate(timeout=lab.LIMIT_S)
    except subprocess.TimeoutExpired:
        p.kill()
        bench.kill()
        p.communicate()
        raise lab.Failed("the workload hangs") from None
    done = set()
    for line in out.split("\n"):
        if line[:2] in ("S ", "D "):
            effects = w.steps[int(line[2:])][1]
            if line[0] == "S":
                bench.model.begin(effects)
            else:
                bench.model.begin(effects)
                bench.model.done(effects)
                done.add(line[2:])
    return len(done) == len(w.steps)


def check_attrs(bench, name):
    for path, (mode, mtime) in (ALL[name].attrs or {}).items():
        st = os.stat(f"{bench.mnt}/{path}")
        lab.check((st.st_mode & 0o777, int(st.st_mtime)) == (mode, mtime),
                  f"'{path}' has mode {st.st_mode & 0o777:o}, mtime {int(st.st_mtime)}; promised: "
                  f"{mode:o}, {mtime}")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except OSError as e:
        print("E", e)
        sys.exit(1)
