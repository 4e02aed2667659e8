#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""matrix - the driver dies at every named point (fs/crashpoint.h) that a workload reaches.

  matrix.py [WORKLOAD] [POINT]    only these
  CRASH_CASES=N                   so many cases, drawn with CRASH_SEED (0: all)

First each workload runs to its end, which shows the points. Then, for each: run, die, mount again,
and everything of lab.Bench.finish() must hold. Points of a recovery are reached by dying once more
in the mount after the first death.
"""
import concurrent.futures
import os
import random
import sys

import lab
import workloads

# Deaths after which the recovery has something to do, for the points in it.
FIRST_DEATHS = [("multi", "send.complete"), ("multi", "answer.complete"), ("multi", "note.sealed"),
                ("modify", "note.sealed"), ("cp_p", "taken.part"), ("small", "send.put"),
                ("killed_writer", "note.interrupted"), ("overwrite", "answer.complete")]
RECOVERY_POINTS = ("recovery.", "revive.", "kept.", "abort.", "send.", "answer.", "taken.", "note.",
                   "match.", "meta.", "staged.")
STAGED = ("multi", "modify", "fsync", "rsync", "write_rename_stored", "write_rename_dir")
SEED = int(os.environ.get("CRASH_SEED", "4"))
CASES = int(os.environ.get("CRASH_CASES", "0"))
THREADS = int(os.environ.get("CRASH_THREADS", "3"))


def set_up(bench, name):
    w = workloads.ALL[name]
    bench.model.one_of = list(w.one_of)
    bench.temp_ok = w.temp_ok
    for path, data in w.before.items():
        bench.put(path, data)


def end(bench, name, done):
    if done and workloads.ALL[name].attrs:
        workloads.check_attrs(bench, name)
    bench.finish()


def discover(name, options):
    """Points that the workload reaches, each with the counts at which to die."""
    points = {}

    def case(bench):
        set_up(bench, name)
        bench.mount()
        done = workloads.carry_out(bench, name, lab.T + "/src")
        lab.check(done, "the workload does not succeed without a crash")
        end(bench, name, done)
        points.update(lab.reached(bench))

    report.run(lab.Bench(f"{name} undisturbed {options}", options), case)
    return points


def counts(total):
    """The first time, the middle, the last."""
    return sorted({1, (total + 1) // 2, total})


def one(name, point, options):
    def case(bench):
        set_up(bench, name)
        bench.mount(crash_at=point)
        done = not bench.dead() and workloads.carry_out(bench, name, lab.T + "/src")
        bench.kill()
        bench.remount()
        end(bench, name, done)

    report.run(lab.Bench(f"{name} {point} {options}".strip(), options), case)


def discover_recovery(name, first, options):
    points = {}

    def case(bench):
        set_up(bench, name)
        bench.mount(crash_at=first)
        done = workloads.carry_out(bench, name, lab.T + "/src")
        bench.kill()
        os.unlink(bench.points)
        bench.remount()
        end(bench, name, done)
        points.update(lab.reached(bench))

    report.run(lab.Bench(f"{name} {first} {options}".strip(), options), case)
    return points


def twice(name, first, second, options):
    def case(bench):
        set_up(bench, name)
        bench.mount(crash_at=first)
        done = workloads.carry_out(bench, name, lab.T + "/src")
        bench.kill()
        os.unlink(bench.points)
        bench.remount(crash_at=second, decided=False)
        try:
            bench.driver.wait(2)
        except lab.subprocess.TimeoutExpired:
            pass
        bench.kill()
        bench.remount()
        end(bench, name, done)

    report.run(lab.Bench(f"{name} {first} then {second} {options}".strip(), options), case)


def all_cases(only, point):
    cases = []
    names = [only] if only else list(workloads.ALL)
    levels = ["", "durability=stage"]
    todo = [(n, o) for o in levels for n in names if not o or n in STAGED]
    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        for (name, options), points in zip(todo, pool.map(lambda a: discover(*a), todo)):
            for p, total in points.items():
                if not point or p == point.split(":")[0]:
                    cases += [(one, name, f"{p}:{n}", options) for n in counts(total)]
        firsts = [(n, p, "") for n, p in FIRST_DEATHS if n in names]
        for (name, first, options), points in zip(firsts, pool.map(
                lambda a: discover_recovery(*a), firsts)):
            for p in points:
                if p.startswith(RECOVERY_POINTS) and (not point or p == point):
                    cases.append((twice, name, first, p, options))
    return cases


def main(only=None, point=None):
    if not lab.have_hooks():
        print("skipped: the driver was built without OBSM_TEST_HOOKS")
        sys.exit(77)
    workloads.prepare(lab.T + "/src")
    cases = all_cases(only, point)
    total = len(cases)
    if CASES and CASES < total:
        cases = random.Random(SEED).sample(cases, CASES)
    print(f"{len(cases)} of {total} cases, seed {SEED}", flush=True)
    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lambda c: c[0](*c[1:]), cases))
    report.end("matrix")


report = lab.Report()
if __name__ == "__main__":
    main(*sys.argv[1:])
