#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""model - random operations on the mount and on a local directory side by side, stdlib only.

  model.py [-n OPS] [-r OPS] [-k OPS] [-b PERCENT] [-t SECONDS] MOUNT LOCAL

Every operation is done on both; its result or errno, and what it changed, must be the same. Each
100 operations the whole trees are compared. Some changes are made to the bucket behind the mount's
back (-b, percent of the operations; OBS_PORT and OBS_KEYS as for tests/lib/obsclient.py); after
them meta_ttl (-t) is waited for. Each -r operations all handles are closed, "remount" is printed,
a line is read from stdin, and everything must be as before, times too; between unmounting and
mounting the bucket must hold just the tree.

Each -k operations "kill" is printed: the driver gets SIGKILL, in the middle of whatever it does in
the background. What close() or fsync() had returned 0 for must be there at the next mount, with its
attributes; what was written afterwards to files that are open must not. All may take a moment.

What is compared: type, size, content, mode, owner, link target, xattrs, names in directories. Times
come from two clocks: the mount's mtime must be what utimens set, or lie within the operation that
wrote, and stay what it was, across remounts as well.

The seed is printed; OBSM_SEED repeats a run. Operations before a failure are printed.
"""
import argparse
import collections
import ctypes
import errno
import os
import random
import signal
import stat
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import obsclient  # noqa: E402

NAMES = ["a", "b", "c", "d", "e", "f", "g", "with space", "ü", "%2Fx+y&z=?", "a.tar.gz", "x" * 40,
         ".a.Xy12Zt", ".b.abCD3f", "tmpk3_9xq2z", "sedQ7wT4a", "#c#", ".hidden", "~", "-n"]
TEMPORARY = (".a.", ".b.", "tmp", "sed")
OWNERS = [0, 1, 1000, 65534]
PART = 100 << 10
RECOVERY_S = 40  # in which everything is as promised after a kill
SLACK = 0.1  # clock_realtime_coarse of a local filesystem may be behind


class Mismatch(Exception):
    pass


def outcome(function, *arguments):
    try:
        return "ok", function(*arguments)
    except OSError as problem:
        return "error", errno.errorcode.get(problem.errno, problem.errno)


def content(seed, size):
    return random.Random(seed).randbytes(size)


libc = ctypes.CDLL(None, use_errno=True)


def rename_noreplace(old, new):
    if libc.renameat2(-100, os.fsencode(old), -100, os.fsencode(new), 1) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def copy_range(source, target, offset, to, size):
    """How many bytes copy_file_range has copied."""
    copied = 0
    while copied < size:
        n = os.copy_file_range(source, target, size - copied, offset + copied, to + copied)
        if n == 0:
            break
        copied += n
    return copied


class Handle:
    """A file that is open on both sides."""

    def __init__(self, fds, flags, path):
        self.fds, self.flags, self.path = fds, flags, path
        self.copied = False  # it may have ranges of another object, which must not change behind

    def ino(self):
        return os.fstat(self.fds[1]).st_ino


class Model:
    def __init__(self, options):
        self.roots = [options.mount, options.local]
        self.options = options
        self.seed = int(os.environ.get("OBSM_SEED", 0)) or random.SystemRandom().randrange(1, 1 << 32)
        self.rng = random.Random(self.seed)
        self.number = 0
        self.log = collections.deque(maxlen=200)
        self.handles = []
        self.mtimes = {}   # inode of the local side: mtime of the mount's side, as last seen
        self.started = 0.0
        self.client = self.make_client()
        self.counts = collections.Counter()

    @staticmethod
    def make_client():
        with open(os.environ["OBS_KEYS"]) as f:
            ak, sk = f.readline().strip().split(":")[:2]
        return obsclient.Client(int(os.environ["OBS_PORT"]), ak, sk, "bkt")

    # what there is

    def tree(self, want=lambda mode: True):
        """Relative paths of the local side, sorted."""
        found = []
        for top, dirs, files in os.walk(self.roots[1]):
            for name in dirs + files:
                path = os.path.join(top, name)
                if want(os.lstat(path).st_mode):
                    found.append(os.path.relpath(path, self.roots[1]))
        return sorted(found)

    def directory(self):
        """Mostly near the root."""
        dirs = [d for d in self.tree(stat.S_ISDIR) if d.count("/") < 3]
        return self.rng.choice([""] * (1 + len(dirs) // 2) + dirs)

    def free_path(self):
        return os.path.join(self.directory(), self.rng.choice(NAMES))

    def path(self, want=lambda mode: True):
        """An existing one; now and then one that may not exist."""
        there = self.tree(want)
        if there and self.rng.random() >= 0.03:
            return self.rng.choice(there)
        while True:
            path = self.free_path()
            if path in there or not self.ino(path):  # a fifo would block
                return path

    def both(self, function, *arguments):
        """function(root, ...) on both sides: equal results, or equal errors."""
        results = [outcome(function, root, *arguments) for root in self.roots]
        if results[0] != results[1]:
            raise Mismatch(f"the mount says {short(results[0])}, expected {short(results[1])}")
        return results[0]

    def both_fds(self, handle, function, *arguments):
        results = [outcome(function, fd, *arguments) for fd in handle.fds]
        if results[0] != results[1]:
            raise Mismatch(f"the mount says {short(results[0])}, expected {short(results[1])}"
                           f" (handle of {handle.path!r})")
        return results[0]

    # comparing

    def wrote(self, local_stat):
        """The mtime is now somewhere between the beginning of the operation and now."""
        self.mtimes[local_stat.st_ino] = None

    def check_mtime(self, path, mount, local):
        expected = self.mtimes.get(local.st_ino)
        if stat.S_ISDIR(local.st_mode) and expected is None:
            return
        if expected is None:
            now = time.time()
            if not self.started - SLACK <= mount.st_mtime_ns / 1e9 <= now + SLACK:
                raise Mismatch(f"{path!r}: mtime {mount.st_mtime_ns} is not within the operation "
                               f"({self.started} .. {now})")
            self.mtimes[local.st_ino] = mount.st_mtime_ns
        elif mount.st_mtime_ns != expected:
            raise Mismatch(f"{path!r}: mtime {mount.st_mtime_ns}, expected {expected}")

    def compare_stats(self, path, mount, local, named=True):
        for field in ("st_mode", "st_uid", "st_gid") + (("st_nlink",) if not stat.S_ISDIR(local.st_mode) else ()):
            if getattr(mount, field) != getattr(local, field):
                raise Mismatch(f"{path!r}: {field} {getattr(mount, field):#o}, "
                               f"expected {getattr(local, field):#o}")
        if not stat.S_ISDIR(local.st_mode) and mount.st_size != local.st_size:
            raise Mismatch(f"{path!r}: size {mount.st_size}, expected {local.st_size}")
        if named:
            self.check_mtime(path, mount, local)

    def compare(self, path, deep=True):
        """One name on both sides."""
        mount, local = (outcome(os.lstat, os.path.join(root, path)) for root in self.roots)
        if mount[0] != local[0] or (mount[0] == "error" and mount != local):
            raise Mismatch(f"lstat {path!r}: {short(mount)}, expected {short(local)}")
        if mount[0] == "error":
            return
        self.compare_stats(path, mount[1], local[1])
        if not deep:
            return
        mode = local[1].st_mode
        if not stat.S_ISLNK(mode):
            self.equal(path, "xattrs", xattrs)
        if stat.S_ISREG(mode):
            self.equal(path, "content", read_whole)
        elif stat.S_ISLNK(mode):
            self.equal(path, "target", os.readlink)
        elif stat.S_ISDIR(mode):
            self.equal(path, "names", lambda p: sorted(os.listdir(p)))

    def equal(self, path, what, function):
        mount, local = (outcome(function, os.path.join(root, path)) for root in self.roots)
        if mount != local:
            raise Mismatch(f"{path!r}: {what} {difference(mount, local)}")

    def target(self, path):
        """Where a symbolic link ends: what was done to the link may have been done there."""
        real = os.path.realpath(os.path.join(self.roots[1], path))
        below = os.path.relpath(real, os.path.realpath(self.roots[1]))
        return path if below.startswith("..") else below

    def compare_handle(self, handle):
        mount, local = (os.fstat(fd) for fd in handle.fds)
        self.compare_stats("handle of " + handle.path, mount, local, named=local.st_nlink > 0)
        if handle.flags & os.O_ACCMODE != os.O_WRONLY:
            results = [outcome(os.pread, fd, 1 << 21, 0) for fd in handle.fds]
            if results[0] != results[1]:
                raise Mismatch(f"handle of {handle.path!r}: content {difference(*results)}")

    def compare_trees(self):
        self.compare("")
        for path in self.tree():
            self.compare(path)
        for handle in self.handles:
            self.compare_handle(handle)

    # operations; each returns the paths whose names or attributes it may have changed

    def note(self, *what):
        self.log.append(f"{self.number:7} {time.time():.3f} {' '.join(map(str, what))}")

    def ino(self, path):
        try:
            return os.lstat(os.path.join(self.roots[1], path)).st_ino
        except OSError:
            return 0

    def open_both(self, path, flags, mode):
        existed = os.path.exists(os.path.join(self.roots[1], path))
        results = [outcome(os.open, os.path.join(root, path), flags, mode) for root in self.roots]
        if results[0][0] != results[1][0] or results[0][0] == "error" and results[0] != results[1]:
            raise Mismatch(f"open: {results[0]}, expected {results[1]}")
        if results[0][0] == "error":
            return None
        handle = Handle([results[0][1], results[1][1]], flags, path)
        made = os.fstat(handle.fds[1])
        if stat.S_ISREG(made.st_mode) and (flags & os.O_TRUNC or not existed):
            self.wrote(made)
        return handle

    def close_both(self, handle):
        self.both_fds(handle, os.close)

    def op_create(self):
        path = self.free_path()
        name = os.path.basename(path)
        temp = name.startswith(TEMPORARY)
        flags = os.O_RDWR | os.O_CREAT | (os.O_EXCL if temp or self.rng.random() < 0.2 else 0)
        mode = 0o600 if temp else self.rng.choice([0o644, 0o755, 0o666, 0o400])
        if self.ino(path) and not flags & os.O_EXCL:
            flags |= os.O_TRUNC
        size = self.choose_size()
        self.note("create", repr(path), oct(flags), oct(mode), size)
        handle = self.open_both(path, flags, mode)
        if handle:
            self.write_to(handle, 0, size)
            self.keep_or_close(handle)
        return [path, os.path.dirname(path)]

    def keep_or_close(self, handle):
        if len(self.handles) < 5 and self.rng.random() < 0.3:
            self.note("  kept open")
            self.handles.append(handle)
        else:
            self.close_both(handle)

    def choose_size(self):
        return self.rng.choice([0, 1, 10, 100, 5000, self.rng.randrange(PART), PART,
                                self.rng.randrange(4 * PART)])

    def write_to(self, handle, offset, size):
        if not size:
            return
        data = content(self.rng.randrange(1 << 30), size)
        if handle.flags & os.O_APPEND:
            result = self.both_fds(handle, os.write, data)
        else:
            result = self.both_fds(handle, os.pwrite, data, offset)
        if result[0] == "ok":
            self.wrote(os.fstat(handle.fds[1]))

    def op_write(self):
        path = self.path(stat.S_ISREG)
        flags = self.rng.choice([os.O_RDWR, os.O_WRONLY, os.O_WRONLY | os.O_APPEND,
                                 os.O_WRONLY | os.O_TRUNC])
        size, offset = self.choose_size(), self.rng.randrange(1 + self.rng.choice([0, 10, PART, 4 * PART]))
        self.note("write", repr(path), oct(flags), offset, size)
        handle = self.open_both(path, flags, 0)
        if handle:
            self.write_to(handle, offset, size)
            self.keep_or_close(handle)
        return [path]

    def op_copy(self):
        source, path = self.path(stat.S_ISREG), self.free_path()
        if self.rng.random() < 0.3:
            path = self.path(stat.S_ISREG)
        offset, to, size, flags = 0, 0, 1 << 30, os.O_RDWR | os.O_CREAT | os.O_TRUNC
        if self.rng.random() < 0.3:
            offset, to, size = self.rng.randrange(PART), self.rng.choice([0, PART, self.rng.randrange(PART)]), \
                self.rng.choice([PART, 2 * PART, self.rng.randrange(1, 3 * PART)])
            flags ^= self.rng.choice([0, os.O_TRUNC])
        self.note("copy", repr(source), repr(path), oct(flags), offset, to, size)
        reader = self.open_both(source, os.O_RDONLY, 0)
        handle = self.open_both(path, flags, 0o644) if reader else None
        if handle:
            results = [outcome(copy_range, r, w, offset, to, size) for r, w in zip(reader.fds, handle.fds)]
            if results[0] != results[1]:
                raise Mismatch(f"the mount says {short(results[0])}, expected {short(results[1])}")
            if results[0][0] == "ok" and results[0][1]:
                self.wrote(os.fstat(handle.fds[1]))
            handle.copied = True
            self.keep_or_close(handle)
        if reader:
            self.close_both(reader)
        return [source, path]

    def op_truncate(self):
        path, size = self.path(stat.S_ISREG), self.choose_size()
        self.note("truncate", repr(path), size)
        if self.both(lambda root: os.truncate(os.path.join(root, path), size))[0] == "ok":
            self.wrote(os.stat(os.path.join(self.roots[1], path)))
        return [path]

    def op_open(self):
        if len(self.handles) >= 5:
            return self.op_close()
        path = self.path(stat.S_ISREG)
        flags = self.rng.choice([os.O_RDONLY, os.O_RDWR, os.O_WRONLY | os.O_APPEND])
        self.note("open", repr(path), oct(flags))
        handle = self.open_both(path, flags, 0)
        if handle:
            self.handles.append(handle)
        return [path]

    def op_close(self):
        if not self.handles:
            return []
        handle = self.handles.pop(self.rng.randrange(len(self.handles)))
        self.note("close", repr(handle.path), oct(handle.flags))
        self.close_both(handle)
        return [handle.path]

    def op_handle(self):
        if not self.handles:
            return self.op_open()
        handle = self.rng.choice(self.handles)
        what = self.rng.choice(["read", "write", "write", "truncate", "fsync", "chmod", "utimens"])
        size, offset = self.choose_size(), self.rng.randrange(3 * PART)
        self.note("handle", what, repr(handle.path), oct(handle.flags), offset, size)
        if what == "read":
            self.both_fds(handle, os.pread, size, offset)
        elif what == "write" and handle.flags & os.O_ACCMODE != os.O_RDONLY:
            self.write_to(handle, offset, size)
        elif what == "truncate":
            if self.both_fds(handle, os.ftruncate, size)[0] == "ok":
                self.wrote(os.fstat(handle.fds[1]))
        elif what == "fsync":
            self.both_fds(handle, os.fsync)
        elif what == "chmod":
            self.both_fds(handle, os.fchmod, self.rng.choice([0o600, 0o644, 0o4755]))
        elif what == "utimens":
            self.set_times(handle.ino(), lambda ns: self.both_fds(handle, lambda fd: os.utime(fd, ns=ns)))
        self.compare_handle(handle)
        return [handle.path]

    def set_times(self, ino, function):
        ns = (self.rng.randrange(10 ** 18), self.rng.choice([0, 1, 10 ** 9 - 1, self.rng.randrange(2 * 10 ** 18)]))
        self.note("  times", ns)
        if function(ns)[0] == "ok":
            self.mtimes[ino] = ns[1]

    def op_utimens(self):
        path = self.path()
        ino = self.ino(path)
        self.note("utimens", repr(path))
        self.set_times(ino, lambda ns: self.both(
            lambda root: os.utime(os.path.join(root, path), ns=ns, follow_symlinks=False)))
        return [path]

    def op_read(self):
        path = self.path(stat.S_ISREG)
        self.note("read", repr(path))
        self.both(lambda root: read_whole(os.path.join(root, path)))
        return [path]

    def op_rename(self):
        old, new = self.path(), self.path() if self.rng.random() < 0.4 else self.free_path()
        noreplace = self.rng.random() < 0.1
        self.note("rename", repr(old), repr(new), "noreplace" if noreplace else "")
        function = rename_noreplace if noreplace else os.rename
        self.both(lambda root: function(os.path.join(root, old), os.path.join(root, new)))
        return [old, new, os.path.dirname(old), os.path.dirname(new)]

    def op_rename_temp(self):
        temps = [p for p in self.tree(stat.S_ISREG)
                 if os.path.basename(p).startswith(TEMPORARY)]
        if not temps:
            return self.op_create()
        old = self.rng.choice(temps)
        new = os.path.join(os.path.dirname(old), os.path.basename(old).split(".")[1]
                           if os.path.basename(old)[0] == "." else "f")
        self.note("rename temp", repr(old), repr(new))
        self.both(lambda root: os.rename(os.path.join(root, old), os.path.join(root, new)))
        return [old, new]

    def op_unlink(self):
        path = self.path()
        self.note("unlink", repr(path))
        self.both(lambda root: os.unlink(os.path.join(root, path)))
        return [path, os.path.dirname(path)]

    def op_mkdir(self):
        path, mode = self.free_path(), self.rng.choice([0o755, 0o700, 0o2775, 0o1777])
        self.note("mkdir", repr(path), oct(mode))
        if self.both(lambda root: os.mkdir(os.path.join(root, path), mode))[0] == "ok":
            self.mtimes.pop(self.ino(path), None)  # numbers are used again
        return [path, os.path.dirname(path)]

    def op_rmdir(self):
        path = self.path(stat.S_ISDIR)
        self.note("rmdir", repr(path))
        self.both(lambda root: os.rmdir(os.path.join(root, path)))
        return [path, os.path.dirname(path)]

    def op_symlink(self):
        path, target = self.free_path(), self.rng.choice(["a", "b", "./c", "/nowhere/ü", "x" * 1000])
        self.note("symlink", repr(path), target[:20])
        if self.both(lambda root: os.symlink(target, os.path.join(root, path)))[0] == "ok":
            self.wrote(os.lstat(os.path.join(self.roots[1], path)))
        return [path, os.path.dirname(path)]

    def op_mkfifo(self):
        path = self.free_path()
        self.note("mkfifo", repr(path))
        if self.both(lambda root: os.mkfifo(os.path.join(root, path), 0o640))[0] == "ok":
            self.wrote(os.lstat(os.path.join(self.roots[1], path)))
        return [path]

    def op_chmod(self):
        path = self.path(lambda mode: not stat.S_ISLNK(mode))
        mode = self.rng.choice([0o600, 0o644, 0o755, 0o4755, 0o2750, 0o1777, 0o000, 0o777])
        if os.path.islink(os.path.join(self.roots[1], path)):
            return []
        self.note("chmod", repr(path), oct(mode))
        self.both(lambda root: os.chmod(os.path.join(root, path), mode))
        return [path]

    def op_chown(self):
        path, uid, gid = self.path(), self.rng.choice(OWNERS + [-1]), self.rng.choice(OWNERS + [-1])
        self.note("chown", repr(path), uid, gid)
        self.both(lambda root: os.lchown(os.path.join(root, path), uid, gid))
        return [path]

    def op_xattr(self):
        path = self.path(lambda mode: stat.S_ISREG(mode) or stat.S_ISDIR(mode))
        name = self.rng.choice(["user.a", "user.b", "user.ü", "user.c d"])
        if os.path.islink(os.path.join(self.roots[1], path)):
            return []
        if self.rng.random() < 0.3:
            self.note("removexattr", repr(path), name)
            self.both(lambda root: os.removexattr(os.path.join(root, path), name))
        else:
            value = content(self.rng.random(), self.rng.choice([0, 1, 20, 300]))
            flags = self.rng.choice([0, 0, os.XATTR_CREATE, os.XATTR_REPLACE])
            self.note("setxattr", repr(path), name, len(value), flags)
            self.both(lambda root: os.setxattr(os.path.join(root, path), name, value, flags))
        return [path]

    def op_readdir(self):
        path = self.path(stat.S_ISDIR)
        self.note("readdir", repr(path))
        self.both(lambda root: sorted(os.listdir(os.path.join(root, path))))
        return []

    def op_wait(self):
        self.note("wait")
        time.sleep(self.rng.choice([0.02, 0.12, self.options.ttl]))
        return []

    # changes behind the mount's back

    def settle(self, path):
        """What the mount still has to send for this name is sent."""
        full = os.path.join(self.roots[0], path)
        fd = os.open(full, os.O_RDONLY)
        os.fsync(fd)
        os.close(fd)

    def is_open(self, path):
        return self.ino(path) in [h.ino() for h in self.handles]

    def op_behind(self):
        files = [p for p in self.tree(stat.S_ISREG) if not self.is_open(p)]
        what = self.rng.choice(["put", "replace", "delete"])
        if what != "put" and not files:
            return []
        path = self.free_path() if what == "put" else self.rng.choice(files)
        if what == "put" and self.ino(path):
            return []
        if what != "put":
            for handle in [h for h in self.handles if h.copied]:
                self.handles.remove(handle)
                self.close_both(handle)
            self.settle(path)
        self.note("behind", what, repr(path))
        local = os.path.join(self.roots[1], path)
        if what == "delete":
            self.client.request("DELETE", os.fsencode(path))
            os.unlink(local)
        else:
            self.put_behind(path, local)
        time.sleep(self.options.ttl * 1.2)
        self.started = time.time()
        return [path, os.path.dirname(path)]

    def put_behind(self, path, local):
        data = content(self.rng.randrange(1 << 30), self.choose_size())
        if os.path.isfile(local) and open(local, "rb").read() == data:
            data += b"x"  # the same content in the same second: no listing tells it
        mode, uid = self.rng.choice([0o640, 0o755]), self.rng.choice(OWNERS)
        mtime = self.rng.randrange(10 ** 9)
        self.client.put(os.fsencode(path), data, {
            "x-obs-meta-mode": str(stat.S_IFREG | mode), "x-obs-meta-uid": str(uid),
            "x-obs-meta-gid": str(uid), "x-obs-meta-mtime": str(mtime)})
        if os.path.lexists(local):
            os.unlink(local)
        with open(local, "wb") as f:
            f.write(data)
        os.chown(local, uid, uid)
        os.chmod(local, mode)
        self.mtimes[os.stat(local).st_ino] = mtime * 10 ** 9

    # remount

    def times(self):
        found = {}
        for path in [""] + self.tree():
            s = os.lstat(os.path.join(self.roots[0], path))
            found[path] = {f: getattr(s, f) for f in ("st_mtime_ns", "st_ctime_ns", "st_atime_ns")}
        return found

    def ask(self, what):
        print(what, flush=True)
        if not sys.stdin.readline():
            raise Mismatch(f"nobody has answered to '{what}'")

    def check_bucket(self):
        keys = {os.fsdecode(k).rstrip("/") for k, _, _ in self.client.list("")}
        expected = set(self.tree())
        if keys != expected:
            raise Mismatch(f"in the bucket and not in the tree: {sorted(keys - expected)}; "
                           f"in the tree only: {sorted(expected - keys)}")
        uploads = list(self.client.pages({"uploads": None}, "Upload", {}))
        if uploads:
            raise Mismatch(f"unfinished uploads: {uploads}")

    def remount(self):
        self.note("remount")
        while self.handles:
            self.close_both(self.handles.pop())
        self.compare_trees()
        before = self.times()
        self.ask("unmount")
        self.check_bucket()
        self.ask("mount")
        self.compare_trees()
        self.same_times(before, "remount")

    # SIGKILL

    def promise(self):
        """What is open or waits for its rename is stored; what is open is then written again: that is
        promised to nobody."""
        for handle in self.handles:
            if handle.flags & os.O_ACCMODE == os.O_RDONLY:
                continue
            self.both_fds(handle, os.fsync)
            self.compare_handle(handle)
        for path in self.tree(stat.S_ISREG):
            if os.path.basename(path).startswith(TEMPORARY):
                self.settle(path)
        for handle in self.handles:
            if handle.flags & os.O_ACCMODE != os.O_RDONLY and self.rng.random() < 0.5:
                os.pwrite(handle.fds[0], b"lost" * self.rng.choice([1, PART // 4, PART]),
                          self.rng.randrange(2 * PART))
                self.note("  written in vain", repr(handle.path))

    def let_go(self):
        for handle in self.handles:
            outcome(os.close, handle.fds[0])
            os.close(handle.fds[1])
        self.handles = []

    def kill(self):
        self.note("kill")
        self.compare_trees()
        before = self.times()
        self.promise()
        self.ask("kill")
        self.let_go()
        self.ask("mount")
        until = time.time() + RECOVERY_S
        while True:
            try:
                self.compare_trees()
                self.same_times(before, "kill")
                return
            except (Mismatch, OSError):  # a name may come while it is looked for
                if time.time() > until:
                    raise
            time.sleep(0.2)

    def same_times(self, before, event):
        after = self.times()
        for path, times in before.items():
            if path and after[path] != times:
                raise Mismatch(f"{path!r}: times {after[path]}, before the {event} {times}")

    def run(self):
        weights = {
            self.op_create: 14, self.op_write: 14, self.op_truncate: 5, self.op_open: 5, self.op_copy: 3,
            self.op_close: 7, self.op_handle: 14, self.op_utimens: 4, self.op_read: 5,
            self.op_rename: 12, self.op_rename_temp: 4, self.op_unlink: 7, self.op_mkdir: 5,
            self.op_rmdir: 3, self.op_symlink: 2, self.op_mkfifo: 0.5, self.op_chmod: 3,
            self.op_chown: 2, self.op_xattr: 4, self.op_readdir: 2, self.op_wait: 1,
            self.op_behind: self.options.behind * 1.1,
        }
        operations, shares = list(weights), list(weights.values())
        for self.number in range(1, self.options.ops + 1):
            operation = self.rng.choices(operations, shares)[0]
            self.counts[operation.__name__] += 1
            self.started = time.time()
            for path in operation():
                self.compare(path)
                if os.path.islink(os.path.join(self.roots[1], path)):
                    self.compare(self.target(path))
            if self.number % 100 == 0:
                self.compare_trees()
            if self.options.remount and self.number % self.options.remount == 0:
                self.remount()
            if self.options.kill and self.number % self.options.kill == 0:
                self.kill()
        self.remount()


def short(result):
    text = repr(result)
    return text if len(text) < 300 else text[:300] + "..."


def difference(mount, local):
    if not all(isinstance(r[1], bytes) for r in (mount, local)):
        return f"{short(mount)}, expected {short(local)}"
    a, b = mount[1], local[1]
    first = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
    return (f"of {len(a)} bytes, expected {len(b)}; they differ from {first} on: "
            f"{a[first:first + 8].hex()}, expected {b[first:first + 8].hex()}")


def read_whole(path):
    fd = os.open(path, os.O_RDONLY)
    try:
        pieces = []
        while piece := os.read(fd, 1 << 20):
            pieces.append(piece)
        return b"".join(pieces)
    finally:
        os.close(fd)


def xattrs(path):
    return {name: os.getxattr(path, name) for name in sorted(os.listxattr(path))
            if name.startswith("user.")}


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("-n", dest="ops", type=int, default=1000)
    parser.add_argument("-r", dest="remount", type=int, default=500)
    parser.add_argument("-k", dest="kill", type=int, default=0)
    parser.add_argument("-b", dest="behind", type=float, default=1)
    parser.add_argument("-t", dest="ttl", type=float, default=0.2)
    parser.add_argument("mount")
    parser.add_argument("local")
    model = Model(parser.parse_args())
    os.umask(0o022)
    say = lambda text: print(f"model: {text}", file=sys.stderr, flush=True)  # noqa: E731
    say(f"OBSM_SEED={model.seed}, {model.options.ops} operations")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(f"model: out of time after {model.number} operations"))
    try:
        model.run()
    except (Mismatch, OSError, RuntimeError) as problem:
        say("the last operations:")
        print("\n".join(model.log), file=sys.stderr)
        say(f"operation {model.number}: {problem!r}")
        sys.exit(1)
    say("clean: " + ", ".join(f"{n[3:]} {c}" for n, c in sorted(model.counts.items())))


if __name__ == "__main__":
    main()
