#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""attributes - the driver dies at each point of an attribute change; the next mount has the change.

  attributes.py obs|s3 [CASE]...    only these; "some": those of QUICK

A change that was answered is there after the remount, at once and in the bucket; one whose call died
with the driver is there as a whole or not at all. Properties of a stored file (user.obs.NAME) are in the
bucket when they are answered; those of a directory are as its mode, those of a file that is to be stored
go along with it.
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
    lab.check("gone" in bench.read_until("errors", "gone"), "nothing was said about it")
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


PROPERTIES = {"meta.owner-team": "x y", "storage_class": "WARM", "acl": "public-read"}
if DIALECT == "s3":
    del PROPERTIES["storage_class"]  # a stored object keeps it there


def set_properties(path):
    for name, value in PROPERTIES.items():
        os.setxattr(path, "user.obs." + name, value.encode())


def property_of(path, name):
    try:
        return os.getxattr(path, "user.obs." + name).decode()
    except OSError:
        return None


def stored_headers(bench, name):
    try:
        return bench.client.request("HEAD", (bench.prefix + name).encode())[1]
    except RuntimeError:
        return {}  # not stored yet


def wait_properties(bench, name, where):
    """Until the mount says them, and the object has those that HEAD tells."""
    until = time.monotonic() + lab.LIMIT_S
    want = {"x-obs-meta-owner-team": "x y", "x-obs-storage-class": PROPERTIES.get("storage_class")}
    while True:
        found = {p: property_of(f"{bench.mnt}/{name}", p) for p in PROPERTIES}
        headers = stored_headers(bench, name)
        if found == PROPERTIES and all(headers.get(h) == v for h, v in want.items() if v):
            break
        lab.check(time.monotonic() < until, f"{where}: {found}, {headers}")
        time.sleep(0.05)
    acl = bench.client.request("GET", (bench.prefix + name).encode(), {"acl": None})[2].decode()
    lab.check("<Permission>READ</Permission>" in acl, f"{where}: the rights are {acl}")


def properties_stored(bench):
    """Of a stored file they are in the bucket when they are answered."""
    set_up(bench)
    bench.mount()
    set_properties(bench.mnt + "/f")
    bench.kill()
    bench.mount()
    wait_properties(bench, "f", "mount")
    bench.finish()


def properties_unanswered(bench):
    """The driver dies while the request is under way: old or new, and it can be set again."""
    set_up(bench)
    bench.mount()
    op = "SetObjectMetadata" if DIALECT == "obs" else "CopyObject"
    lab.admin("POST", "/-/faults", [{"operation": op, "key": bench.prefix + "f", "delay_ms": 60000}])
    p = subprocess.Popen([sys.executable, "-c", "import os,sys; os.setxattr(sys.argv[1], 'user.obs.meta.owner-team', b'x y')",
                          bench.mnt + "/f"], stderr=subprocess.DEVNULL)
    until = time.monotonic() + lab.LIMIT_S
    while not lab.admin("GET", "/-/requests")["operations"].get(op, {}).get("count") and time.monotonic() < until:
        time.sleep(0.02)
    bench.kill()
    p.wait(lab.LIMIT_S)
    lab.admin("POST", "/-/faults", [])
    bench.mount()
    try:
        value = os.getxattr(bench.mnt + "/f", "user.obs.meta.owner-team")
    except OSError:
        value = None
    lab.check(value in (None, b"x y"), f"{value}")
    set_properties(bench.mnt + "/f")
    wait_properties(bench, "f", "set again")
    bench.finish()


def properties_of_directory(bench):
    """Like its mode: at once, and sent a moment later."""
    set_up(bench, directory=True)
    bench.mount(crash_at="meta.send")
    subprocess.run([sys.executable, "-c", "import os,sys\nfor a in sys.argv[2:]:\n n,v=a.split('=',1)\n"
                    " os.setxattr(sys.argv[1],'user.obs.'+n,v.encode())",
                    bench.mnt + "/d"] + [f"{n}={v}" for n, v in PROPERTIES.items()],
                   timeout=lab.LIMIT_S, check=True)
    bench.wait_dead()
    bench.kill()
    for _ in range(2):
        bench.mount()
        for name, value in PROPERTIES.items():
            found = os.getxattr(bench.mnt + "/d", "user.obs." + name).decode()
            lab.check(found == value, f"the directory's {name} is {found}")
        bench.umount()
    bench.mount()
    with open(bench.mnt + "/d/g", "wb") as f:
        f.write(DATA)
    bench.model.exists("d/g", DATA)
    wait_properties(bench, "d/g", "a new file")
    bench.finish()


def properties_sealed(bench):
    """durability=stage: set after close, while the parts of the file are sent."""
    bench.mount()
    lab.admin("POST", "/-/faults", [{"operation": "UploadPart", "key": bench.prefix + "f",
                                     "delay_ms": 60000, "count": -1}])
    with open(bench.mnt + "/f", "wb") as f:
        f.write(LARGE)
    set_properties(bench.mnt + "/f")
    bench.kill()
    lab.admin("POST", "/-/faults", [])
    bench.model.exists("f", LARGE)
    bench.remount()
    wait_properties(bench, "f", "mount")
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
    cases["properties"] = ("store", properties_stored)
    cases["properties.unanswered"] = ("store", properties_unanswered)
    cases["properties.directory"] = ("store", properties_of_directory)
    cases["properties.sealed"] = ("stage", properties_sealed)
    return cases


QUICK = ("meta.noted.store", "meta.noted.stage", "meta.answer.store", "dir.meta.send", "large.meta.answer",
         "twice.meta.send", "replaced", "index_is_old", "sealed",
         "properties", "properties.directory", "properties.sealed")


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
