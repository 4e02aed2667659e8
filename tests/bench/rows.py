# SPDX-License-Identifier: Apache-2.0
"""The rows of the benchmark: what is prepared, what is timed, what figure is to be reached.

A row is measured for each contestant in turn, round after round. Limits (raw, floor) are
contestants too.
"""
import concurrent.futures
import os
import random
import shutil
import statistics
import subprocess
import time

import machine
from machine import BUCKET, MIB, Failed, Floor, Sample, measure

FAST = {"latency": 0, "rate": 0}
SLOW = {"latency": 20, "rate": 40_000_000}
FAR = {"latency": 20, "rate": 0}
RATIO_SECONDS, RATIO_CPU, SHARE_OF_RAW = 1.15, 1.2, 0.95


class Row:
    """One kind of work under one condition. Subclasses set the fields and say what run() does."""
    name = title = ""
    condition = FAST
    limits = ()
    null = False
    memory = 1 << 30  # bytes in /dev/shm that it needs

    def __init__(self, lab, size):
        self.lab, self.size = lab, size
        self.service = None

    def prepare(self):
        """Before the first round, not timed."""

    def run(self, who, driver_class):
        raise NotImplementedError

    def finish(self):
        """After the last round."""

    def notes(self, medians):
        """Lines below the block: {contestant: its median Sample}."""
        return []

    # --- helpers

    def driver(self, driver_class):
        driver = driver_class(self.lab, self.service)
        driver.mount()
        return driver

    def objects(self, prefix, *sizes):
        """True when the keys below prefix number as expected and have these bytes in all."""
        count, total = sizes
        found = [s for k, s, _ in self.service.client.list(prefix) if not k.endswith(b"/")]
        return len(found) == count and sum(found) == total

    def remove(self, prefix):
        keys = [k for k, _, _ in self.service.client.list(prefix)]
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            list(pool.map(lambda k: self.service.client.request("DELETE", k), keys))

    def fill(self, prefix, count, body=b"x" * 100):
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            list(pool.map(lambda i: self.service.client.put(f"{prefix}{i:05d}".encode(), body),
                          range(count)))

    def raw(self, method, key, size, chunk):
        """The limit without a file system; prints "S s  N MB/s  cpu C s"."""
        self.service.reset()
        service_cpu = self.service.cpu()
        done = subprocess.run([self.lab.program("tests/bench/bench-raw"),
                               f"http://127.0.0.1:{self.service.port}", BUCKET, machine.AK,
                               machine.SK, method, key, str(size), str(chunk),
                               str(machine.PARALLEL)], capture_output=True, text=True, check=False,
                              timeout=machine.APP_LIMIT)
        if done.returncode:
            raise Failed(done.stderr.strip())
        words = done.stdout.split()
        return Sample(float(words[0]), float(words[words.index("cpu") + 1]), None,
                      self.service.stats(), self.service.cpu() - service_cpu)


def per(value, count):
    return f"{value / count:.2f}"


def limit_notes(row, medians):
    """Seconds and CPU of obsmount against the two limits."""
    if not {"obsmount", "raw"} <= medians.keys():
        return []
    ours, raw, floor = (medians.get(n) for n in ("obsmount", "raw", "floor"))
    if row.condition is SLOW:
        return [f"speed: {raw.seconds / ours.seconds:.2f} of raw (to reach: {SHARE_OF_RAW})"]
    if not floor:
        return []
    return [f"seconds: {ours.seconds / (raw.seconds + floor.seconds):.2f} x (raw + floor) "
            f"(to reach: {RATIO_SECONDS}); "
            f"CPU: {ours.cpu / (raw.cpu + floor.cpu):.2f} x (raw + floor) (to reach: {RATIO_CPU})"]


# --- one large file


class Write(Row):
    name, title = "write", "write a file of {mib} MiB"
    limits = ("raw", "floor")
    null = True
    memory = 3 << 30

    def prepare(self):
        self.source = os.path.join(self.lab.dir, "source")
        if not os.path.exists(self.source):
            make_file(self.source, self.size)

    def run(self, who, driver_class):
        if who == "raw":
            sample = self.raw("put", "big", self.size, machine.PART)
            self.remove("big")
            return sample
        copy = ["dd", f"if={self.source}", "bs=1M", "status=none"]
        if driver_class is Floor:
            Floor.backing = self.lab.fresh("backing")
        driver = self.driver(driver_class)
        try:
            machine.drop_caches()
            check = None if driver_class is Floor else lambda: self.objects("big", 1, self.size)
            return measure(driver, copy + [f"of={driver.dir}/big"], stored=check)
        finally:
            driver.unmount()
            if driver_class is Floor:
                shutil.rmtree(Floor.backing)
            self.remove("big")

    def notes(self, medians):
        return limit_notes(self, medians)


class WriteFar(Write):
    name = "write-far"
    condition = SLOW
    limits = ("raw",)


class Read(Row):
    name, title = "read", "read a file of {mib} MiB"
    limits = ("raw", "floor")
    null = True
    memory = 3 << 30

    def prepare(self):
        self.backing = self.lab.fresh("backing")
        with open(os.path.join(self.backing, "big"), "wb") as f:
            for _ in range(self.size // MIB):  # what the null store of obs-local gives
                f.write(bytes(MIB))
        self.raw("put", "big", self.size, machine.PART)

    def run(self, who, driver_class):
        if who == "raw":
            return self.raw("get", "big", self.size, machine.READ_CHUNK)
        Floor.backing = self.backing
        driver = self.driver(driver_class)
        try:
            machine.drop_caches()
            return measure(driver, ["dd", f"if={driver.dir}/big", "of=/dev/null", "bs=1M",
                                    "status=none"])
        finally:
            driver.unmount()

    def finish(self):
        shutil.rmtree(self.backing)

    def notes(self, medians):
        return limit_notes(self, medians)


class ReadFar(Read):
    name = "read-far"
    condition = SLOW
    limits = ("raw",)


class FirstByte(Row):
    name, title = "first-byte", "first 4 KiB of a cold file of {mib} MiB, its directory listed"
    condition = SLOW
    null = True

    def prepare(self):
        self.raw("put", "d/big", self.size, machine.PART)

    def run(self, who, driver_class):
        driver = self.driver(driver_class)
        try:
            os.stat(f"{driver.dir}/d")
            os.listdir(f"{driver.dir}/d")
            return measure(driver, ["head", "-c", "4096", f"{driver.dir}/d/big"],
                           stored=self.quiet())
        finally:
            driver.unmount()

    def quiet(self):
        """What is fetched ahead counts too: wait until no more comes. (Not in the seconds.)"""
        return None

    def notes(self, medians):
        return [f"{who}: {s.seconds / 0.02:.1f} round trips, {s.requests} requests, "
                f"{s.bytes_out / MIB:.2f} MiB (to reach: 2, 2, 2 MiB)"
                for who, s in medians.items()]


class RandomReads(Row):
    name, title = "random", "{reads} random reads of 64 KiB in a file of {mib} MiB"
    condition = FAR
    null = True
    reads = 200

    def prepare(self):
        self.raw("put", "big", self.size, machine.PART)
        rng = random.Random(1)
        slots = rng.sample(range(self.size // 65536), self.reads)
        self.script = ("import os,sys\nf=os.open(sys.argv[1],os.O_RDONLY)\n"
                       f"for i in {slots}: assert len(os.pread(f,65536,i*65536))==65536\n")

    def run(self, who, driver_class):
        driver = self.driver(driver_class)
        try:
            return measure(driver, ["python3", "-c", self.script, f"{driver.dir}/big"])
        finally:
            driver.unmount()

    def notes(self, medians):
        return [f"{who}: {s.bytes_out / (self.reads * 65536):.2f} x the bytes (to reach: 1.1), "
                f"{s.seconds / 0.02 / self.reads:.2f} round trips each (to reach: 1.2)"
                for who, s in medians.items()]


class Writers(Row):
    name, title = "writers", "4 files of {mib4} MiB written at once: memory"
    null = True
    memory = 6 << 30

    def run(self, who, driver_class):
        driver = self.driver(driver_class)
        script = "".join(f"dd if=/dev/zero of={driver.dir}/w{i} bs=1M status=none "
                         f"count={self.size // MIB} & " for i in range(4))
        try:
            return measure(driver, ["sh", "-c", script + "wait"],
                           stored=lambda: self.objects("w", 4, 4 * self.size))
        finally:
            driver.unmount()
            self.remove("w")

    def notes(self, medians):
        return [f"{who}: peak RSS {s.rss / MIB:.0f} MiB (to reach: 128)"
                for who, s in medians.items()]


# --- many small files


class Tar(Row):
    name, title = "tar", "unpack {count} files of 4 KiB (tar)"
    count = 500

    def prepare(self):
        tree = self.lab.fresh("tree")
        for i in range(self.count):
            sub = os.path.join(tree, "t", f"d{i // 100}")
            os.makedirs(sub, exist_ok=True)
            with open(os.path.join(sub, f"f{i}"), "wb") as f:
                f.write(os.urandom(4096))
        self.dirs = 1 + (self.count + 99) // 100
        self.archive = os.path.join(self.lab.dir, f"{self.name}.tar")
        subprocess.run(["tar", "-C", tree, "-cf", self.archive, "t"], check=True)
        shutil.rmtree(tree)

    def run(self, who, driver_class):
        driver = self.driver(driver_class)
        try:
            return measure(driver, ["tar", "-C", driver.dir, "-xf", self.archive],
                           stored=lambda: self.objects("t/", self.count, self.count * 4096))
        finally:
            driver.unmount()
            self.remove("t/")

    def finish(self):
        os.unlink(self.archive)

    def notes(self, medians):
        goal = (1.05 * self.count + 2 * self.dirs) / self.count
        lines = []
        for who, s in medians.items():
            text = f"{who}: {per(s.requests, self.count)} requests a file (to reach: {goal:.2f})"
            if self.service.latency:
                trips = s.seconds / (self.service.latency / 1000)
                text += f", {per(trips, self.count)} round trips a file (to reach: 1.2)"
            lines.append(text)
        return lines


class TarFar(Tar):
    name = "tar-far"
    condition = FAR


class Tar2000Far(TarFar):
    name, count = "tar2000-far", 2000


class RmFar(Row):
    name, title = "rm-far", "rm -rf of {count} files of 4 KiB"
    condition = FAR
    count = 1000

    def run(self, who, driver_class):
        self.fill("r/f", self.count, b"x" * 4096)
        driver = self.driver(driver_class)
        try:
            return measure(driver, ["rm", "-rf", f"{driver.dir}/r"],
                           stored=lambda: self.objects("r/", 0, 0))
        finally:
            driver.unmount()
            self.remove("r/")

    def notes(self, medians):
        return [f"{who}: {per(s.requests, self.count)} requests a file (to reach: 1), "
                f"{per(s.seconds / 0.02, self.count)} round trips a file (to reach: 1.1)"
                for who, s in medians.items()]


class Rsync(Row):
    name, title = "rsync-far", "rsync -a of {count} files of 4 KiB and one of 256 MiB"
    condition = FAR
    count = 1000
    big = 256 * MIB
    memory = 3 << 30
    second = False

    def prepare(self):
        self.tree = self.lab.fresh("tree")
        for i in range(self.count):
            sub = os.path.join(self.tree, f"d{i // 100}")
            os.makedirs(sub, exist_ok=True)
            with open(os.path.join(sub, f"f{i}"), "wb") as f:
                f.write(os.urandom(4096))
        make_file(os.path.join(self.tree, "big"), self.big)
        if not shutil.which("rsync"):
            raise Failed("rsync is not installed")

    def run(self, who, driver_class):
        driver = self.driver(driver_class)
        argv = ["rsync", "-a", self.tree + "/", f"{driver.dir}/s/"]
        stored = lambda: self.objects("s/", self.count + 1, self.count * 4096 + self.big)
        try:
            first = measure(driver, argv, stored=stored)
            if not self.second:
                return first
            time.sleep(6)  # what is known of the directories has expired
            return measure(driver, argv, stored=stored)
        finally:
            driver.unmount()
            self.remove("s/")

    def finish(self):
        shutil.rmtree(self.tree)

    def notes(self, medians):
        if self.second:
            return ["to reach: LISTs only"]
        goal = self.count + 1 + -(-self.big // machine.PART) + 20
        return [f"{who}: {s.requests} requests (to reach: {goal}), "
                f"{s.ops.get('CopyObject', 0) + s.ops.get('CopyPart', 0)} copies (to reach: 0), "
                f"{per(s.seconds / 0.02, self.count)} round trips a file (to reach: 1.2)"
                for who, s in medians.items()]


class RsyncAgain(Rsync):
    name, title = "rsync-again", "the same once more"
    second = True


class Ls(Row):
    name, title = "ls", "ls -l of {count} objects"
    condition = FAR
    count = 2000
    second = False

    def prepare(self):
        self.fill("l/f", self.count)

    def run(self, who, driver_class):
        driver = self.driver(driver_class)
        argv = ["ls", "-l", f"{driver.dir}/l"]
        try:
            first = measure(driver, argv)
            if not self.second:
                return first
            time.sleep(6)
            return measure(driver, argv)
        finally:
            driver.unmount()

    def notes(self, medians):
        pages = -(-self.count // 1000)
        goal = (f"{pages} LISTs, 0 HEADs" if self.second else
                f"{pages} LISTs, {self.count} HEADs, 64 at a time")
        return [f"{who}: {s.ops.get('ListObjects', 0)} LISTs, {s.ops.get('HeadObject', 0)} HEADs "
                f"(to reach: {goal})" for who, s in medians.items()]


class LsAgain(Ls):
    name, title = "ls-again", "the same 6 s later"
    second = True


class Ls10000(Ls):
    name, count = "ls10000", 10000


class Ls10000Again(LsAgain):
    name, count = "ls10000-again", 10000


class Chmod(Row):
    name, title = "chmod", "chmod of a file of {mib} MiB"
    condition = FAR
    null = True

    def prepare(self):
        self.raw("put", "big", self.size, machine.PART)

    def run(self, who, driver_class):
        driver = self.driver(driver_class)
        try:
            os.stat(f"{driver.dir}/big")
            mode = "640" if random.random() < 0.5 else "604"
            sample = measure(driver, ["sh", "-c", f"chmod {mode} {driver.dir}/big; sleep 0.3"])
            return sample
        finally:
            driver.unmount()

    def notes(self, medians):
        return [f"{who}: {s.requests} requests, "
                f"{s.ops.get('CopyObject', 0) + s.ops.get('CopyPart', 0)} copies "
                "(to reach: 1 and 0)" for who, s in medians.items()] + \
               ["the seconds contain a sleep of 0.3 s"]


def make_file(path, size):
    """Random bytes, a MiB of them over and over: nothing here compresses or compares."""
    block = os.urandom(MIB)
    with open(path, "wb") as f:
        for _ in range(size // MIB):
            f.write(block)


def median(samples):
    """The sample in the middle by seconds, with the medians of CPU and memory."""
    ordered = sorted(samples, key=lambda s: s.seconds)
    middle = ordered[(len(ordered) - 1) // 2]
    for field in ("cpu", "rss", "service_cpu"):
        values = [getattr(s, field) for s in samples if getattr(s, field) is not None]
        if values:
            setattr(middle, field, statistics.median(values))
    return middle


ROWS = {row.name: row for row in (
    Write, Read, WriteFar, ReadFar, Tar, TarFar, Ls, LsAgain, FirstByte, RandomReads, Chmod, RmFar,
    Rsync, RsyncAgain, Tar2000Far, Ls10000, Ls10000Again, Writers)}
DEFAULT = ("write", "read", "write-far", "read-far", "tar", "tar-far", "ls", "ls-again")
