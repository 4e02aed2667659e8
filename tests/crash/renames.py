#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""renames - the driver dies at each point of a rename; the next mount has one tree, or one name.

  renames.py obs|s3 [CASE]...    only these; "some": those of QUICK

Before the copies were checked the old tree is there again, afterwards the new one: with all bytes and
attributes, and nothing is left of the other. An empty directory that stood at the new name stands
there as before when the rename is undone.
"""
import os
import stat
import subprocess
import sys
import threading
import time

import lab

DIALECT = sys.argv[1] if len(sys.argv) > 1 else "obs"
PART = lab.PART if DIALECT == "obs" else 5 << 20
BIG = lab.content((3, 300 << 10 if DIALECT == "obs" else 6 << 20))
FILES = {"f": lab.content((1, 5000)), "empty": b"", "sub/x": lab.content((2, 100)), "big": BIG,
         "sub/deep/y": b"y", "a\nb": b"control", "imp/z": b"in no directory of its own"}
MTIME = 1234567890

UNDONE = ("rename_dir.begun", "rename_dir.copy:1", "rename_dir.copy:4", "rename_dir.copied")
DONE = ("rename_dir.checked", "rename_dir.deleted", "rename_dir.ended")


def set_up(bench, replaced):
    bench.mount()
    m = bench.mnt
    os.makedirs(m + "/d/sub/deep")
    for path, data in FILES.items():
        if path.startswith("imp/"):
            bench.client.put((bench.prefix + "d/" + path).encode(), data)
            continue
        with open(f"{m}/d/{path}", "wb") as f:
            f.write(data)
        os.chmod(f"{m}/d/{path}", 0o640)
        os.setxattr(f"{m}/d/{path}", "user.k", path.encode())
        os.utime(f"{m}/d/{path}", (MTIME, MTIME))
    os.symlink("target", m + "/d/link")
    os.chmod(m + "/d", 0o750)
    os.chmod(m + "/d/sub", 0o711)
    if replaced:
        os.mkdir(m + "/e")
        os.chmod(m + "/e", 0o700)
        os.utime(m + "/e", (MTIME + 5, MTIME + 5))
    bench.umount()


def tree(top):
    out = {}
    for directory, names, files in os.walk(top):
        for name in names + files:
            path = os.path.join(directory, name)
            st = os.lstat(path)
            data = None
            if stat.S_ISLNK(st.st_mode):
                data = os.readlink(path)
            elif stat.S_ISREG(st.st_mode):
                with open(path, "rb") as f:
                    data = f.read()
            try:
                xattr = os.getxattr(path, "user.k", follow_symlinks=False)
            except OSError:
                xattr = None
            mtime = None if stat.S_ISDIR(st.st_mode) or "/imp/" in path else st.st_mtime_ns
            out[os.path.relpath(path, top)] = (st.st_mode, mtime, data, xattr)
    return out


def rename(bench):
    """In another process, which may die with the driver."""
    code = "import os,sys; os.rename(sys.argv[1]+'/d', sys.argv[1]+'/e')"
    return subprocess.run([sys.executable, "-c", code, bench.mnt], timeout=lab.LIMIT_S, check=False,
                          stderr=subprocess.DEVNULL).returncode


def keys(bench):
    return sorted(k.decode()[len(bench.prefix):] for k, _, _ in bench.client.list(bench.prefix))


def wait_one_tree(bench, there, gone):
    """Until the bucket has one tree."""
    until = time.monotonic() + lab.LIMIT_S
    while True:
        left = [k for k in keys(bench) if k.startswith(gone + "/") and k != gone + "/"]
        if not left:
            break
        lab.check(time.monotonic() < until, f"'{gone}' is left beside '{there}': {left}")
        time.sleep(0.05)


def check_tree(bench, before, name, replaced):
    other = "d" if name == "e" else "e"
    wait_one_tree(bench, name, other)
    bench.umount()
    left = [os.path.join(d, n) for d, _, names in os.walk(bench.state) for n in names
            if n.startswith("moves")]
    lab.check(not left, f"the ledger is left: {left}")
    bench.mount()
    m = bench.mnt
    found = tree(f"{m}/{name}")
    for path in sorted(set(before) | set(found)):
        lab.check(before.get(path) == found.get(path),
                  f"'{path}' is {found.get(path)}, was {before.get(path)}"[:600])
    lab.check(stat.S_IMODE(os.stat(f"{m}/{name}").st_mode) == 0o750, "the mode of the directory")
    if replaced and name == "d":
        st = os.stat(m + "/e")
        lab.check((stat.S_IMODE(st.st_mode), int(st.st_mtime)) == (0o700, MTIME + 5),
                  f"what was there before has mode {st.st_mode:o}, mtime {st.st_mtime}")
        lab.check(os.listdir(m + "/e") == [], "what was there before is not empty")
    else:
        lab.check(not os.path.exists(f"{m}/{other}"), f"'{other}' is there as well")
    bench.umount()
    bench.sanitizers()


def before_of(bench):
    bench.mount()
    before = tree(bench.mnt + "/d")
    bench.umount()
    return before


def die(bench, point, act, second=None):
    """The driver dies at a point of the act, and perhaps once more at one of the mount that follows."""
    bench.mount(crash_at=point)
    act(bench)
    bench.wait_dead()
    bench.kill()
    if second:
        bench.mount(crash_at=second)
        bench.wait_dead()
        bench.kill()
    bench.mount()


def crash_at(point, replaced=False, second=None):
    def case(bench):
        set_up(bench, replaced)
        before = before_of(bench)
        if os.path.exists(bench.points):
            os.unlink(bench.points)
        die(bench, point, rename, second)
        check_tree(bench, before, "d" if point in UNDONE else "e", replaced)
    return case


def changed_meanwhile(point, name):
    """Attributes that are changed while the rename runs belong to the tree that is left."""
    def case(bench):
        set_up(bench, False)
        bench.mount(crash_at=point)
        os.stat(bench.mnt + "/d/f")
        lab.admin("POST", "/-/faults", [{"operation": "CopyObject", "key": bench.prefix + "e/*",
                                         "delay_ms": 1500, "count": -1}])
        t = threading.Thread(target=rename, args=(bench,))
        fd = os.open(bench.mnt + "/d/f", os.O_RDONLY)
        t.start()
        time.sleep(0.7)
        os.fchmod(fd, 0o604)
        t.join()
        lab.admin("POST", "/-/faults", [])
        bench.wait_dead()
        bench.kill()
        try:
            os.close(fd)
        except OSError:
            pass
        bench.mount()
        wait_one_tree(bench, name, "d" if name == "e" else "e")
        bench.umount()
        bench.mount()
        mode = stat.S_IMODE(os.stat(f"{bench.mnt}/{name}/f").st_mode)
        lab.check(mode == 0o604, f"the mode is {mode:o}")
        bench.umount()
        bench.sanitizers()
    return case


def unfinished_file(bench):
    """A file below that is being written when the driver dies is kept under its new name."""
    set_up(bench, False)
    bench.mount(crash_at="rename_dir.deleted")
    fd = os.open(bench.mnt + "/d/w", os.O_CREAT | os.O_WRONLY)
    os.write(fd, b"w" * (2 * PART + 5))
    rename(bench)
    bench.wait_dead()
    bench.kill()
    try:
        os.close(fd)
    except OSError:
        pass
    bench.mount()
    wait_one_tree(bench, "e", "d")
    text = bench.read_until("uploads", "interrupted")
    lab.check("e/w" in text and "d/w" not in text, f"uploads: {text}")
    lab.check("d/w" not in keys(bench) and "e/w" not in keys(bench), "a half file is in the bucket")
    bench.umount()
    bench.sanitizers()


def interrupted(bench):
    """A signal ends the rename while it copies: the old tree is there, nothing of the new one."""
    set_up(bench, True)
    before = before_of(bench)
    bench.mount()
    lab.admin("POST", "/-/faults", [{"operation": "CopyObject", "key": bench.prefix + "e/sub/*",
                                     "delay_ms": 1500, "count": -1}])
    code = ("import os,signal,sys\nsignal.signal(signal.SIGALRM, lambda *a: None)\n"
            "signal.setitimer(signal.ITIMER_REAL, 0.5)\n"
            "try: os.rename(sys.argv[1]+'/d', sys.argv[1]+'/e')\n"
            "except InterruptedError: sys.exit(4)\n")
    # a second one that dies at once
    p = subprocess.Popen([sys.executable, "-c", code.replace("lambda *a: None", "signal.SIG_DFL"), bench.mnt])
    p.wait(lab.LIMIT_S)
    lab.check(p.returncode == -14, f"the process ended with {p.returncode}")
    lab.admin("POST", "/-/faults", [])
    check_tree(bench, before, "d", True)


def service_fails(bench):
    """The service refuses one copy, then the deletion of the copies: a job removes them later."""
    set_up(bench, False)
    before = before_of(bench)
    bench.mount()
    lab.admin("POST", "/-/faults", [
        {"operation": "CopyObject", "key": bench.prefix + "e/f", "status": 403, "code": "InvalidObjectState",
         "count": -1}])
    lab.check(rename(bench) != 0, "the rename succeeded")
    lab.admin("POST", "/-/faults", [])
    check_tree(bench, before, "d", False)


def copy_is_not_done(bench):
    """A service that answers 200 to a copy that it does not make loses nothing."""
    set_up(bench, False)
    before = before_of(bench)
    lab.check(len(before) > 5, "the tree")
    bench.mount()
    etag = next(e for k, _, e in bench.client.list(bench.prefix) if k.endswith(b"d/f"))
    etag = etag.decode() if isinstance(etag, bytes) else etag
    etag = etag.strip('"')
    body = f'<CopyObjectResult><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>"{etag}"</ETag></CopyObjectResult>'
    lab.admin("POST", "/-/faults", [{"operation": "CopyObject", "key": bench.prefix + "e/f", "status": 200,
                                     "body": body, "count": -1}])
    lab.check(rename(bench) != 0, "the rename succeeded")
    lab.admin("POST", "/-/faults", [])
    check_tree(bench, before, "d", False)


FILE = (3, 5000)


def look(path):
    st = os.stat(path)
    with open(path, "rb") as f:
        return st.st_mode, st.st_mtime_ns, f.read(), os.getxattr(path, "user.k")


def make(path, data, mode):
    with open(path, "wb") as f:
        f.write(data)
    os.chmod(path, mode)
    os.setxattr(path, "user.k", oct(mode).encode())
    os.utime(path, (MTIME, MTIME))


def set_up_file(bench, replaced=None):
    """What stands at d/f, and at d/g."""
    bench.mount()
    os.mkdir(bench.mnt + "/d")
    make(bench.mnt + "/d/f", lab.content(FILE), 0o640)
    make(bench.mnt + "/d/f2", lab.content((7, 77)), 0o640)  # begins like it
    if replaced is not None:
        make(bench.mnt + "/d/g", replaced, 0o604)
    bench.umount()
    bench.mount()
    before = look(bench.mnt + "/d/f"), look(bench.mnt + "/d/g") if replaced is not None else None
    bench.umount()
    return before


def rename_file(bench):
    code = ("import os,sys\ntry: os.rename(sys.argv[1]+'/d/f', sys.argv[1]+'/d/g')\n"
            "except PermissionError: sys.exit(13)\n")
    return subprocess.run([sys.executable, "-c", code, bench.mnt], timeout=lab.LIMIT_S, check=False,
                          stderr=subprocess.DEVNULL).returncode


def check_file(bench, f, g):
    """Until the bucket has these names only; then what they are, now and after a remount."""
    want = [name for name, what in (("d/f", f), ("d/f2", 1), ("d/g", g)) if what]
    until = time.monotonic() + lab.LIMIT_S
    while (left := [k for k in keys(bench) if k != "d/"]) != want:
        lab.check(time.monotonic() < until, f"the bucket has {left}, should have {want}")
        time.sleep(0.05)
    for _ in range(2):
        for name, what in (("f", f), ("g", g)):
            path = f"{bench.mnt}/d/{name}"
            found = look(path) if os.path.exists(path) else None
            lab.check(found == what, f"'{name}' is {found}, was {what}"[:600])
        bench.umount()
        left = [os.path.join(d, n) for d, _, names in os.walk(bench.state) for n in names
                if n.startswith(("moves", "changes"))]
        lab.check(not left, f"a ledger is left: {left}")
        bench.mount()
    bench.umount()
    bench.sanitizers()


def file_crash(point, done, replaced=None, second=None):
    def case(bench):
        f, g = set_up_file(bench, replaced)
        die(bench, point, rename_file, second)
        check_file(bench, None if done else f, f if done else g)
    return case


def file_open(bench):
    """What was being written of the file when the driver died is kept under its new name."""
    f, _ = set_up_file(bench)
    bench.mount(crash_at="rename.deleted")
    fd = os.open(bench.mnt + "/d/f", os.O_WRONLY)
    os.pwrite(fd, b"w" * (2 * PART + 5), 0)
    rename_file(bench)
    bench.wait_dead()
    bench.kill()
    try:
        os.close(fd)
    except OSError:
        pass
    bench.mount()
    text = bench.read_until("uploads", "interrupted")
    lab.check("d/g" in text and "d/f" not in text, f"uploads: {text}")
    check_file(bench, None, f)


def file_refused(bench):
    """The service does not let the old object go: the rename fails, and the copy goes."""
    f, _ = set_up_file(bench)
    bench.mount()
    lab.admin("POST", "/-/faults", [{"operation": "DeleteObject", "key": bench.prefix + "d/f",
                                     "status": 403, "code": "AccessDenied", "count": -1}])
    lab.check(rename_file(bench) == 13, "the rename does not give EACCES")
    lab.admin("POST", "/-/faults", [])
    check_file(bench, f, None)


def file_unanswered(bench):
    """Nobody says whether the old object went: the rename has happened, and it goes later."""
    f, _ = set_up_file(bench)
    bench.mount()
    lab.admin("POST", "/-/faults", [{"operation": "DeleteObject", "key": bench.prefix + "d/f",
                                     "status": 500, "code": "InternalError", "count": -1}])
    # longer than any single wait here: the service is asked for a minute
    done = subprocess.run([sys.executable, "-c", "import os,sys; os.rename(sys.argv[1]+'/d/f', sys.argv[1]+'/d/g')",
                           bench.mnt], timeout=180, check=False)
    lab.check(done.returncode == 0, "the rename failed")
    lab.check(keys(bench) == ["d/", "d/f", "d/f2", "d/g"], f"the bucket has {keys(bench)}")
    lab.admin("POST", "/-/faults", [])
    bench.kill()
    bench.mount()
    check_file(bench, None, f)


def file_again(bench):
    """What a crash has left is settled before the same rename is done once more."""
    f, _ = set_up_file(bench)
    bench.mount(crash_at="rename.copied")
    rename_file(bench)
    bench.wait_dead()
    bench.kill()
    bench.mount()
    lab.check(rename_file(bench) == 0, "the second rename failed")
    check_file(bench, None, f)


OTHER = lab.content((4, 3000))
FILE_CASES = {
    "file.copy": file_crash("rename.copy", False),
    "file.copied": file_crash("rename.copied", False),
    "file.checked": file_crash("rename.checked", True),
    "file.deleted": file_crash("rename.deleted", True),
    "file.ended": file_crash("rename.ended", True),
    "file.over.copy": file_crash("rename.copy", False, replaced=OTHER),
    "file.over.same": file_crash("rename.copy", False, replaced=lab.content(FILE)),
    "file.over.copied": file_crash("rename.copied", True, replaced=OTHER),
    "file.over.checked": file_crash("rename.checked", True, replaced=OTHER),
    "file.twice.undo": file_crash("rename.copied", False, second="moves.undo"),
    "file.twice.undone": file_crash("rename.copied", False, second="moves.undone"),
    "file.twice.finish": file_crash("rename.copied", True, replaced=OTHER, second="moves.finish"),
    "file.twice.finished": file_crash("rename.checked", True, second="moves.finished"),
    "file.open": file_open,
    "file.refused": file_refused,
    "file.again": file_again,
    "file.unanswered": file_unanswered,
}


def all_cases():
    cases = dict(FILE_CASES)
    for point in UNDONE + DONE:
        cases[point] = crash_at(point)
    for point in ("rename_dir.copied", "rename_dir.checked"):
        cases[f"replaced.{point}"] = crash_at(point, replaced=True)
    for second in ("moves.undo", "moves.undone"):
        cases[f"twice.{second}"] = crash_at("rename_dir.copied", replaced=True, second=second)
    for second in ("moves.finish", "moves.finished"):
        cases[f"twice.{second}"] = crash_at("rename_dir.checked", second=second)
    cases["changed_undone"] = changed_meanwhile("rename_dir.copied", "d")
    cases["changed_done"] = changed_meanwhile("rename_dir.checked", "e")
    for case in (unfinished_file, interrupted, service_fails, copy_is_not_done):
        cases[case.__name__] = case
    return cases


QUICK = ("rename_dir.copy:4", "rename_dir.checked", "replaced.rename_dir.copied", "twice.moves.finish",
         "copy_is_not_done", "file.copied", "file.checked", "file.over.copy", "file.over.same",
         "file.over.copied", "file.twice.finish", "file.open", "file.refused", "file.again")


def main(*only):
    if not lab.have_hooks():
        print("skipped: the driver was built without OBSM_TEST_HOOKS")
        sys.exit(77)
    for name, case in all_cases().items():
        if not only or name in (QUICK if only == ("some",) else only):
            report.run(lab.Bench(f"{name} {DIALECT}", f"dialect={DIALECT}", part=PART), case)
    report.end(f"renames {DIALECT}")


report = lab.Report()
if __name__ == "__main__":
    main(*sys.argv[2:])
