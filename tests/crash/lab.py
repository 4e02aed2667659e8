# SPDX-License-Identifier: Apache-2.0
"""lab - a bucket, mounts that die, and what must be true afterwards; for the tests in this directory.

run.sh starts obs-local and sets the environment: T, OBS_PORT, OBS_KEYS, OBSMOUNT, TOP.

Every Bench has a prefix of the bucket, a mount point and a state directory of its own, so that many
can be at work at the same time. What a test has promised stands in its Model: the contents that each
path may have. A content is made from a number (content()), and named by (seed, size).
"""
import errno
import functools
import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.parse

TOP = os.environ["TOP"]
T = os.environ["T"]
OBSMOUNT = os.environ["OBSMOUNT"]
PORT = int(os.environ["OBS_PORT"])
DATA = os.environ.get("OBS_DATA", T + "/data")
sys.path.insert(0, TOP + "/tests/lib")
import obsclient  # noqa: E402

# A shell starts what is in the background with SIGINT ignored, and the tests' programs inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

PART = 128 << 10
LIMIT_S = 40  # of any single wait
ZEROS = -1    # seed of a content of zeros


DRIVERS = []  # all that were started


def end_all(_signal, _frame):
    """The test is to end at once: no driver may be left that could still mount."""
    for driver in list(DRIVERS):
        if driver.poll() is None:
            driver.kill()
    os._exit(143)


signal.signal(signal.SIGTERM, end_all)


class Failed(Exception):
    pass


class Early(Failed):
    """What a file held at another time: in a mount that has just come it is so for a moment."""


def check(ok, what):
    if not ok:
        raise Failed(what)


@functools.lru_cache(maxsize=512)
def content(*pieces):
    """Bytes from pieces (seed, size), one behind the other; (seed, size, offset) begins later."""
    out = b""
    for seed, size, *at in pieces:
        skip = at[0] if at else 0
        out += bytes(size) if seed == ZEROS else random.Random(seed).randbytes(skip + size)[skip:]
    return out


def etags(data, part=PART):
    """The ETags that the data may have in the bucket: one PUT, or parts."""
    parts = [hashlib.md5(data[i:i + part]).digest() for i in range(0, len(data), part)]
    composite = hashlib.md5(b"".join(parts)).hexdigest() + f"-{len(parts)}"
    return {hashlib.md5(data).hexdigest(), composite}


class Model:
    """What each path may hold: None is "absent"."""

    def __init__(self):
        self.may = {}     # path -> set of contents
        self.ever = {}    # path -> all contents that were ever meant for it
        self.one_of = []  # (content, paths): at least one of them has it

    def exists(self, path, data):
        self.may[path] = {data}
        self.ever[path] = {data}

    def begin(self, effects):
        for path, data in effects.items():
            self.may.setdefault(path, {None}).add(data)
            self.ever.setdefault(path, {None}).add(data)

    def done(self, effects):
        for path, data in effects.items():
            self.may[path] = {data}


def client(bucket):
    with open(os.environ["OBS_KEYS"]) as f:
        ak, sk = f.readline().strip().split(":")[:2]
    return obsclient.Client(PORT, ak, sk, bucket)


def admin(method, path, body=None):
    return obsclient.admin(PORT, method, path, None if body is None else json.dumps(body))


def op_counts():
    """operation -> (requests, bytes received)"""
    ops = admin("GET", "/-/requests")["operations"]
    return {op: (v["count"], v["bytes_in"]) for op, v in ops.items()}


def versions(bucket, prefix):
    """path -> [(size, etag)] of all that ever stood there, in order; a deletion is None."""
    out = {}
    with open(DATA + "/journal", "rb") as f:
        for line in f:
            fields = line.split()
            if len(fields) < 3 or fields[0] not in (b"P", b"X") or not line.endswith(b"\n"):
                continue
            key = urllib.parse.unquote_to_bytes(fields[2]).decode()
            if fields[1].decode() == bucket and key.startswith(prefix):
                what = (int(fields[3]), fields[4].decode()) if fields[0] == b"P" else None
                out.setdefault(key[len(prefix):], []).append(what)
    return out


class Bench:
    numbers = iter(range(1, 1 << 30))
    lock = threading.Lock()

    def __init__(self, name, options="", part=PART, bucket=None):
        with Bench.lock:
            number = next(Bench.numbers)
        self.name = name
        self.part = part
        self.bucket = bucket or os.environ.get("OBS_BUCKET", "bkt")
        self.keys = os.environ["OBS_KEYS"]
        self.dir = f"{T}/{number:04d}"
        self.prefix = f"{number:04d}/"
        self.options = options
        self.mnt = self.dir + "/m"
        self.state = self.dir + "/state"
        self.log = self.dir + "/mount.log"
        self.points = self.dir + "/points"
        self.driver = None
        self.model = Model()
        self.client = client(self.bucket)
        self.temp_ok = None  # contents that objects with other names may have
        os.makedirs(self.mnt)

    # ---- the driver

    def mount(self, crash_at=None, options="", quiet_s=LIMIT_S):
        env = dict(os.environ, OBSM_CRASH_LOG=self.points, LC_ALL="C.UTF-8")
        sanitizer = f"log_path={self.dir}/san"
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"):
            env[name] = ":".join(filter(None, [os.environ.get(name), sanitizer]))
        if crash_at:
            env["OBSM_CRASH_AT"] = crash_at
        words = [f"endpoint=http://127.0.0.1:{PORT}", "path_style", f"part_size={self.part}",
                 f"credential_file={self.keys}", f"state_dir={self.state}",
                 f"log_file={self.log}", "log_level=info", self.options, options]
        self.driver = subprocess.Popen(
            [OBSMOUNT, "-f", f"{self.bucket}:/{self.prefix}", self.mnt, "-o", ",".join(filter(None, words))],
            env=env, stdout=subprocess.DEVNULL, stderr=open(self.dir + "/stderr", "a"))
        DRIVERS.append(self.driver)
        until = time.monotonic() + quiet_s
        while not self.is_mounted():
            if self.driver.poll() is not None:
                if crash_at and self.driver.returncode == -signal.SIGKILL:
                    return
                raise Failed(f"the driver ended with {self.driver.returncode}: {self.tail()}")
            check(time.monotonic() < until, "the mount does not come")
            time.sleep(0.02)

    def is_mounted(self):
        with open("/proc/self/mounts") as f:
            return f" {self.mnt} fuse" in f.read()

    def dead(self):
        return self.driver is None or self.driver.poll() is not None

    def wait_dead(self, limit=LIMIT_S):
        try:
            return self.driver.wait(limit)
        except subprocess.TimeoutExpired:
            raise Failed("the driver does not end") from None

    def kill(self):
        """As a crash: SIGKILL, and what it left of its mount is cleared away."""
        if not self.dead():
            self.driver.kill()
        self.wait_dead()
        if self.is_mounted():
            subprocess.run(["umount", "-i", "-l", self.mnt], check=False, stderr=subprocess.DEVNULL)

    def umount(self):
        """Waits until everything is stored; the driver must end well."""
        link = self.dir + "/umount.obsmount"
        if not os.path.islink(link):
            os.symlink(OBSMOUNT, link)
        try:
            done = subprocess.run([link, self.mnt], timeout=LIMIT_S, capture_output=True, text=True)
        except subprocess.TimeoutExpired:
            raise Failed("umount does not end" + self.stacks()) from None
        check(done.returncode == 0, f"umount: {done.stderr}")
        status = self.wait_dead()
        self.sanitizers() # ThreadSanitizer changes the exit status
        check(status == 0, f"the driver ended with {status}")

    def state_files(self, suffix):
        found = {}
        for directory, _, names in os.walk(self.state):
            for name in names:
                if name.endswith(suffix) and name[:-len(suffix)].isalnum():
                    found[name[:-len(suffix)]] = os.path.join(directory, name)
        return found

    def remount(self, crash_at=None, options="", decided=True):
        """Mounts again and waits until every unfinished upload was decided on."""
        left = self.state_files(".journal")
        at = os.path.getsize(self.log) if os.path.exists(self.log) else 0
        self.mount(crash_at, options)
        until = time.monotonic() + LIMIT_S
        waiting = set(left)
        while waiting and decided and not self.dead():
            with open(self.log, errors="replace") as f:
                f.seek(at)
                text = f.read()
            said = re.findall(r"upload (\d+)(?: of |: )", text)
            waiting -= {n for n in waiting if any(int(n, 16) == int(s) or n.lstrip("0") == s
                                                  for s in said)}
            waiting -= {n for n in waiting if not os.path.exists(left[n])}
            check(time.monotonic() < until, f"nothing was decided about {waiting}")
            if waiting:
                time.sleep(0.02)

    def read_until(self, name, word):
        """The text of a control file, as soon as it has the word, or after LIMIT_S without it."""
        until = time.monotonic() + LIMIT_S
        text = ""
        while word not in text and time.monotonic() < until:
            with open(f"{self.mnt}/.obsmount/{name}") as f:
                text = f.read()
            time.sleep(0.05)
        return text

    def tail(self):
        out = ""
        for name in (self.log, self.dir + "/stderr"):
            if os.path.exists(name):
                with open(name, errors="replace") as f:
                    out += "".join(f.readlines()[-25:])
        return out

    def stacks(self):
        """What a driver that hangs is doing, if there is a gdb and somebody wants to know."""
        if not os.environ.get("CRASH_VERBOSE") or not shutil.which("gdb"):
            return ""
        argv = ["gdb", "-p", str(self.driver.pid), "-batch", "-ex", "thread apply all bt 12"]
        return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60).stdout

    def sanitizers(self):
        for name in os.listdir(self.dir):
            if name.startswith("san."):
                with open(f"{self.dir}/{name}", errors="replace") as f:
                    raise Failed("a sanitizer has reported: " + f.read()[:3000])

    # ---- what must be true

    def put(self, path, data):
        self.client.put((self.prefix + path).encode(), data)
        self.model.exists(path, data)

    def stored(self):
        """path -> content of all objects below the prefix, directories left out."""
        out = {}
        for key, _, _ in self.client.list(self.prefix):
            path = key.decode()[len(self.prefix):]
            if path and not path.endswith("/"):
                out[path] = self.client.request("GET", key)[2]
        return out

    def describe(self, path, data):
        if data is None:
            return "absent"
        names = [i for i, d in enumerate(sorted(self.model.ever.get(path, ()), key=lambda d: d or b""))
                 if d == data]
        where = ""
        if not names:
            for d in self.model.ever.get(path, ()):
                if d:
                    same = next((i for i, (a, b) in enumerate(zip(d, data)) if a != b), min(len(d), len(data)))
                    where += f" (differs from one of {len(d)} bytes at {same})"
        return f"{len(data)} bytes, {'content ' + str(names[0]) if names else 'UNKNOWN' + where}"

    def check_contents(self, found, where):
        for path, may in self.model.may.items():
            got = found.get(path)
            if got not in may and got in self.model.ever[path]:
                raise Early(f"{where}: '{path}' is {self.describe(path, got)}, may be: "
                            + "; ".join(self.describe(path, d) for d in may))
            check(got in may, f"{where}: '{path}' is {self.describe(path, got)}, may be: "
                  + "; ".join(self.describe(path, d) for d in may))
        for path, data in found.items():
            check(path in self.model.may or (self.temp_ok and data in self.temp_ok),
                  f"{where}: '{path}' is there ({len(data)} bytes), nobody asked for it")
        for data, paths in self.model.one_of:
            check(any(found.get(p) == data for p in paths), f"{where}: the content of {paths} is lost")

    def check_mount(self):
        """What was under way is brought back, finished or undone in the background: until then the old
        state shows, and who reads it may find that it has changed (ESTALE) or gone (ENOENT)."""
        until = time.monotonic() + 5
        while True:
            try:
                self.check_mount_once()
                return
            except (Early, OSError) as e:
                if time.monotonic() > until or \
                        (isinstance(e, OSError) and e.errno not in (errno.ESTALE, errno.ENOENT)):
                    raise
            time.sleep(0.05)

    def check_mount_once(self):
        found = {}
        for directory, _, names in os.walk(self.mnt):
            if directory.startswith(self.mnt + "/.obsmount"):
                continue
            for name in names:
                path = os.path.join(directory, name)
                with open(path, "rb") as f:
                    found[path[len(self.mnt) + 1:]] = f.read()
        self.check_contents(found, "mount")

    def check_versions(self):
        """Nothing half was ever visible."""
        for path, seen in versions(self.bucket, self.prefix).items():
            if not path or path.endswith("/"):
                continue
            whole = [d for d in self.model.ever.get(path, self.temp_ok or ()) if d is not None]
            known = set().union(*(etags(d, self.part) for d in whole)) if whole else set()
            for v in seen:
                check(v is None or v[1] in known,
                      f"'{path}' was visible with {v and v[0]} bytes, ETag {v and v[1]}: "
                      "neither the old content nor the new one")

    def check_uploads(self):
        """Every upload with parts is in a journal."""
        names = {"key-marker": "NextKeyMarker", "upload-id-marker": "NextUploadIdMarker"}
        journals = b"".join(open(p, "rb").read() for p in self.state_files(".journal").values())
        for u in self.client.pages({"uploads": None, "prefix": self.prefix}, "Upload", names):
            key = urllib.parse.unquote_plus(u["Key"])
            parts = list(self.client_parts(key, u["UploadId"]))
            check(not parts or u["UploadId"].encode() in journals,
                  f"upload {u['UploadId']} of '{key}' with {len(parts)} parts is in no journal")

    def client_parts(self, key, upload):
        try:
            answer = self.client.request("GET", key.encode(), {"uploadId": upload})[2]
        except RuntimeError as problem: # the recovery has ended it since it was listed: it has no parts
            if "NoSuchUpload" not in str(problem):
                raise
            return []
        return obsclient.strip(obsclient.ET.fromstring(answer)).iter("Part")

    def finish(self, look=True, uploads=True):
        """After remount(): checks through the mount, unmounts, checks the bucket and what is left."""
        if look:
            self.check_mount()
        self.umount()
        self.check_contents(self.stored(), "bucket")
        self.check_versions()
        if uploads:
            self.check_uploads()
        self.sanitizers()

    def close(self, failed):
        try:
            if self.driver:
                self.kill()
        finally:
            if not failed:
                shutil.rmtree(self.dir, ignore_errors=True)


def reached(bench):
    """The crash points that were reached so far, with how often."""
    out = {}
    if os.path.exists(bench.points):
        with open(bench.points) as f:
            for line in f:
                out[line.strip()] = out.get(line.strip(), 0) + 1
    return out


def have_hooks():
    with open(OBSMOUNT, "rb") as f:
        return b"OBSM_CRASH_AT" in f.read()


class Report:
    """Collects what failed; the test goes on with the other cases."""

    def __init__(self):
        self.failed = []
        self.passed = 0
        self.lock = threading.Lock()

    def run(self, bench, case):
        problem = None
        try:
            case(bench)
        except (Failed, OSError, RuntimeError, subprocess.SubprocessError) as e:
            problem = e
        except Exception as e:  # a bug of the test: shown, and counted as well
            problem = f"{type(e).__name__}: {e}"
        with self.lock:
            if problem is None:
                self.passed += 1
            else:
                self.failed.append(bench.name)
                print(f"FAILED {bench.name}: {problem}", flush=True)
                if os.environ.get("CRASH_VERBOSE"):
                    print(bench.tail(), flush=True)
        bench.close(problem is not None and bool(os.environ.get("CRASH_KEEP")))

    def end(self, what):
        print(f"{what}: {self.passed} passed, {len(self.failed)} failed", flush=True)
        sys.exit(1 if self.failed else 0)
