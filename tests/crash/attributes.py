#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""attributes - the driver dies at each point of an attribute change; the next mount has the change.

  attributes.py obs|s3 [CASE]...    only these; "some": those of QUICK

A change that was answered is there after the remount, at once and in the bucket; one whose call died
with the driver is there as a whole or not at all.
"""
import os
import stat
import subprocess
import sys
import time

import lab

DIALECT = sys.argv[1] if len(sys.argv) > 1 else "obs"
PART = lab.PART if DIALECT == "obs" else 5 << 20
OLD = {"mode": 0o600, "mtime": 1000000000_000000000, "xattr": None}
NEW = {"mode": 0o751, "mtime": 1234567890_123456789, "xattr": b"v"}
DATA = lab.content((1, 5000))
LARGE = lab.content((2, 300 << 10)) if DIALECT == "obs" else lab.content((2, 6 << 20))
LEVELS = ("store", "stage")

# Points at which the first mount dies. The first of them are before the answer.
POINTS = ("meta.changed", "changes.noted", "meta.noted", "meta.send", "meta.answer", "meta.taken")
AGAIN = ("changes.applied", "meta.send", "meta.answer", "meta.taken")


def look(path):
    st = os.stat(path)
    try:
        xattr = os.getxattr(path, "user.k")
    except OSError:
        xattr = None
    return {"mode": stat.S_IMODE(st.st_mode), "mtime": st.st_mtime_ns, "xattr": xattr}


def change(bench, path):
    """In another process, which may die with the driver. What was answered."""
    code = ("import os,sys\np=sys.argv[1]\n"
            "os.chmod(p,0o751); print('mode',flush=True)\n"
            "os.utime(p,ns=(1234567890123456789,)*2); print('mtime',flush=True)\n"
            "os.setxattr(p,'user.k',b'v'); print('xattr',flush=True)\n")
    done = subprocess.run([sys.executable, "-c", code, f"{bench.mnt}/{path}"], timeout=lab.LIMIT_S,
                          capture_output=True, text=True, check=False)
    return done.stdout.split()


def set_up(bench, data=DATA, directory=False):
    bench.mount()
    path = bench.mnt + ("/d" if directory else "/f")
    if directory:
        os.mkdir(path)
    else:
        with open(path, "wb") as f:
            f.write(data)
        bench.model.exists("f", data)
    os.chmod(path, OLD["mode"])
    os.utime(path, ns=(OLD["mtime"],) * 2)
    bench.umount()


def check_attrs(found, answered, where, attempted=True):
    for name, new in NEW.items():
        may = {new} if name in answered else {OLD[name], new} if attempted else {OLD[name]}
        lab.check(found[name] in may, f"{where}: {name} is {found[name]}, may be {may}; answered: "
                  f"{answered}")


def crash_at(point, level, data=DATA, directory=False, second=None):
    def case(bench):
        name = "d" if directory else "f"
        set_up(bench, data, directory)
        bench.mount(crash_at=point)
        answered = change(bench, name)
        try:
            bench.driver.wait(5)
        except subprocess.TimeoutExpired:
            raise lab.Failed(f"'{point}' is not reached") from None
        bench.kill()
        if second:
            bench.mount(crash_at=second)
            try:
                bench.driver.wait(1)
            except subprocess.TimeoutExpired:
                pass
            bench.kill()
        bench.mount()
        check_attrs(look(f"{bench.mnt}/{name}"), answered, "mount")
        bench.umount()
        ledgers = [os.path.join(d, n) for d, _, names in os.walk(bench.state)
                   for n in names if n.startswith("changes")]
        lab.check(not ledgers, f"the ledger is left: {ledgers}")
        bench.mount()
        check_attrs(look(f"{bench.mnt}/{name}"), answered, "second mount")
        bench.finish()
    case.__name__ = f"{point} {level}"
    return case


def replaced(bench):
    """Another object stands there when the change is to be sent: dropped, and said."""
    set_up(bench)
    bench.mount(crash_at="meta.send")
    change(bench, "f")
    bench.kill()
    bench.put("f", LARGE)
    bench.model.ever["f"].add(DATA)
    bench.mount()
    lab.check(look(bench.mnt + "/f")["mode"] != NEW["mode"], "the change of the old object came back")
    with open(bench.mnt + "/.obsmount/errors") as f:
        lab.check("replaced" in f.read(), "nothing was said about it")
    bench.finish()


def gone(bench):
    set_up(bench)
    bench.mount(crash_at="meta.send")
    change(bench, "f")
    bench.kill()
    bench.client.request("DELETE", (bench.prefix + "f").encode())
    bench.model.may["f"] = {None}
    bench.mount()
    until = time.monotonic() + lab.LIMIT_S
    said = ""
    while "gone" not in said and time.monotonic() < until:
        with open(bench.mnt + "/.obsmount/errors") as f:
            said = f.read()
        time.sleep(0.05)
    lab.check("gone" in said, "nothing was said about it")
    bench.finish()


def index_is_old(bench):
    """What the attribute index has of the object is not believed after the crash."""
    set_up(bench)
    bench.mount()
    lab.check(look(bench.mnt + "/f") == OLD, "the attributes that it was made with")
    bench.umount()
    bench.mount(crash_at="meta.taken")
    lab.check(look(bench.mnt + "/f") == OLD, "the attributes that it was made with")
    answered = change(bench, "f")
    bench.wait_dead()
    bench.kill()
    bench.mount()
    check_attrs(look(bench.mnt + "/f"), answered, "mount")
    bench.finish()


def sealed(bench):
    """durability=stage: changed after close, before it is stored."""
    bench.mount()
    lab.admin("POST", "/-/faults", [{"operation": "PutObject", "key": bench.prefix + "f", "delay_ms": 60000}])
    with open(bench.mnt + "/f", "wb") as f:
        f.write(DATA)
        os.fchmod(f.fileno(), 0o600)
    answered = change(bench, "f")
    bench.kill()
    lab.admin("POST", "/-/faults", [])
    lab.check(answered == list(NEW), f"answered: {answered}")
    bench.model.exists("f", DATA)
    bench.remount()
    until = time.monotonic() + lab.LIMIT_S
    while look(bench.mnt + "/f") != NEW and time.monotonic() < until:
        time.sleep(0.05)
    lab.check(look(bench.mnt + "/f") == NEW, f"{look(bench.mnt + '/f')}")
    bench.finish()


def all_cases():
    cases = {}
    for level in LEVELS:
        for point in POINTS:
            cases[f"{point}.{level}"] = (level, crash_at(point, level))
    for point in ("meta.noted", "meta.send"):
        cases[f"dir.{point}"] = ("store", crash_at(point, "store", directory=True))
    for point in ("meta.answer", "meta.send"):
        cases[f"large.{point}"] = ("store", crash_at(point, "store", data=LARGE))
    for second in AGAIN:
        cases[f"twice.{second}"] = ("store", crash_at("meta.send", "store", second=second))
    for case in (replaced, gone, index_is_old):
        cases[case.__name__] = ("store", case)
    cases["sealed"] = ("stage", sealed)
    return cases


QUICK = ("meta.noted.store", "meta.noted.stage", "meta.answer.store", "dir.meta.send", "large.meta.answer",
         "twice.meta.send", "replaced", "index_is_old", "sealed")


def main(*only):
    if not lab.have_hooks():
        print("skipped: the driver was built without OBSM_TEST_HOOKS")
        sys.exit(77)
    for name, (level, case) in all_cases().items():
        if only and name not in (QUICK if only == ("some",) else only):
            continue
        options = f"dialect={DIALECT},durability={level}"
        report.run(lab.Bench(f"{name} {DIALECT}", options, part=PART), case)
    report.end(f"attributes {DIALECT}")


report = lab.Report()
if __name__ == "__main__":
    main(*sys.argv[2:])
