#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""random_kills - SIGKILL of the driver at random moments of a mixed workload.

  random_kills.py [KILLS]      default 40; CRASH_SEED makes another run, and repeats one
  random_kills.py ops MOUNTPOINT < JSON    the workload itself: "S n", "D n" as in workloads.py

Several mounts at the same time, two writers on each, some at durability=stage. After each kill:
mount again, wait until all is stored, and everything of lab.Bench.finish() must hold.
"""
import concurrent.futures
import json
import os
import random
import subprocess
import sys
import time

import lab
from lab import content

K = 1 << 10
BENCHES = 4
SIZES = (0, 1, 3000, 100 * K, 128 * K, 128 * K + 1, 300 * K, 700 * K, 1500 * K)


def pick(rng, now, paths):
    """One operation that can succeed, and its effects."""
    there = [p for p in paths if now.get(p) is not None]
    kind = rng.choice(("write", "write", "write_fsync", "patch", "patch", "append", "cut", "rename",
                       "unlink", "utime")) if there else "write"
    seed = rng.randrange(1 << 30)
    if kind in ("write", "write_fsync"):
        path, size = rng.choice(paths), rng.choice(SIZES)
        return [kind, path, seed, size], {path: content((seed, size))}
    path = rng.choice(there)
    old = now[path]
    if kind in ("patch", "append"):
        size = rng.choice((1, 500, 5000, 200 * K))
        at = len(old) if kind == "append" else rng.randrange(len(old) + 100 * K)
        new = old[:at] + bytes(max(0, at - len(old))) + content((seed, size)) + old[at + size:]
        return ["patch", path, seed, size, at], {path: new}
    if kind == "cut":
        size = rng.choice((0, len(old) // 2, len(old) + 100 * K))
        return [kind, path, size], {path: old[:size] + bytes(max(0, size - len(old)))}
    if kind == "rename":
        to = rng.choice([p for p in paths if p != path])
        return [kind, path, to], {path: None, to: old}
    if kind == "unlink":
        return [kind, path], {path: None}
    return ["utime", path, rng.randrange(1_000_000_000)], {path: old}


def write(fd, data, at=0):
    for i in range(0, len(data), 64 * K):
        os.pwrite(fd, data[i:i + 64 * K], at + i)


def carry_out(m, op):
    kind, path = op[0], f"{m}/{op[1]}"
    if kind in ("write", "write_fsync", "patch"):
        flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if kind != "patch" else 0)
        fd = os.open(path, flags, 0o644)
        try:
            write(fd, content((op[2], op[3])), op[4] if kind == "patch" else 0)
            if kind == "write_fsync" or op[3] == 0:  # an empty file is stored a moment after its close
                os.fsync(fd)
        except OSError:
            os.close(fd)
            raise
        os.close(fd)
    elif kind == "cut":
        os.truncate(path, op[2])
    elif kind == "rename":
        os.rename(path, f"{m}/{op[2]}")
    elif kind == "unlink":
        os.unlink(path)
    else:
        os.utime(path, (op[2], op[2]))


def worker(m):
    for i, op in enumerate(json.load(sys.stdin)):
        print("S", i, flush=True)
        carry_out(m, op)
        print("D", i, flush=True)


class Writer:
    """A process with operations on paths of its own."""

    def __init__(self, bench, rng, now, paths):
        self.bench, self.ops = bench, []
        now = dict(now)
        for _ in range(12):
            op, effects = pick(rng, now, paths)
            self.ops.append((op, effects, dict(now)))
            now.update(effects)
        self.p = subprocess.Popen([sys.executable, __file__, "ops", bench.mnt], text=True,
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL)
        self.p.stdin.write(json.dumps([op for op, _, _ in self.ops]))
        self.p.stdin.close()

    def end(self):
        out = self.p.stdout.read()
        self.p.wait(lab.LIMIT_S)
        last = None
        for line in out.split("\n"):
            if line[:2] not in ("S ", "D "):
                continue
            op, effects, before = self.ops[int(line[2:])]
            self.bench.model.begin(effects)
            if op[0] == "rename":  # at durability=stage it may come before its newest content
                self.bench.model.ever[op[2]] |= self.bench.model.ever[op[1]]
            last = (op, before) if line[0] == "S" else None
            if line[0] == "D":
                self.bench.model.done(effects)
        if last and last[0][0] == "rename":
            self.bench.model.one_of.append((last[1][last[0][1]], (last[0][1], last[0][2])))
        return last and last[0]


def rounds(bench, seed, kills):
    rng = random.Random(seed)
    now = {}
    bench.mount()
    for n in range(kills):
        writers = [Writer(bench, rng, now, paths) for paths in (("a", "b", "c"), ("x", "y", "z"))]
        delay = rng.uniform(0.08, 1.0)
        time.sleep(delay)
        bench.driver.kill()
        last = [w.end() for w in writers]
        bench.kill()
        bench.remount()
        try:
            bench.finish()
        except lab.Failed as e:
            raise lab.Failed(f"after kill {n + 1} ({delay:.2f} s, in {last}): {e}") from None
        now = bench.stored()
        bench.model.one_of = []
        for path in list(bench.model.may):
            bench.model.may[path] = {now.get(path)}
        if n + 1 < kills:
            bench.mount()


def main(kills="40"):
    seed = int(os.environ.get("CRASH_SEED", "20"))
    print(f"{kills} kills, seed {seed}", flush=True)
    report = lab.Report()

    def one(i):
        options = "durability=stage" if i % 2 else ""
        report.run(lab.Bench(f"bench {i} {options}", options),
                   lambda bench: rounds(bench, seed * 1000 + i, int(kills) // BENCHES))

    with concurrent.futures.ThreadPoolExecutor(BENCHES) as pool:
        list(pool.map(one, range(BENCHES)))
    report.end("random kills")


if __name__ == "__main__":
    if sys.argv[1:2] == ["ops"]:
        try:
            worker(sys.argv[2])
        except OSError as problem:
            sys.exit(str(problem))
    else:
        main(*sys.argv[1:])
