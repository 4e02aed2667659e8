# SPDX-License-Identifier: Apache-2.0
"""What a measurement needs: directories, obs-local, the programs under test, time and memory.

Everything that is started or mounted is noted in one Lab, whose close() undoes it, by process id,
with a limit in time for each step. Children also get SIGTERM from the kernel when this process ends.
"""
import ctypes
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tests", "lib"))
import obsclient  # noqa: E402

AK, SK, BUCKET = "benchkey", "benchsecret", "bkt"
MIB = 1 << 20
PART, PARALLEL = 9 * MIB, 8
READ_CHUNK = 8 * MIB
APP_LIMIT = 600  # seconds that one run of an application may take
TICK = os.sysconf("SC_CLK_TCK")

_libc = ctypes.CDLL(None, use_errno=True)


class Failed(Exception):
    """One measurement could not be made; the table shows the reason."""


def die_with_parent():
    _libc.prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


def mounted(path):
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as f:
        return any(line.split()[4] == path for line in f)


def drop_caches():
    os.sync()
    with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as f:
        f.write("3\n")


def cpu_of(pid):
    """CPU seconds of a living process, all its threads, ended ones too."""
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
        fields = f.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def peak_rss_of(pid):
    """Bytes, the most since the process began."""
    with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as f:
        for line in f:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


class Lab:
    """The directory of a run and everything that has to be undone at its end."""

    def __init__(self, build, state, keep_log=False):
        self.build, self.keep_log = build, keep_log
        self.dir = tempfile.mkdtemp(prefix="obsmount-bench.", dir="/dev/shm")
        self.state_dir = tempfile.mkdtemp(prefix="obsmount-bench.", dir=state) if state else None
        self.processes, self.mounts = [], []
        self.count = 0

    def program(self, *path):
        return os.path.join(self.build, *path)

    def fresh(self, name, state=False):
        self.count += 1
        path = os.path.join(self.state_dir if state and self.state_dir else self.dir,
                            f"{name}.{self.count}")
        os.mkdir(path)
        return path

    def start(self, argv, log, env=None):
        with open(log, "ab") as out:
            process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                       env=env, cwd="/", preexec_fn=die_with_parent)
        self.processes.append(process)
        return process

    def stop(self, process, limit=30):
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(limit)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)
        if process in self.processes:
            self.processes.remove(process)

    def unmount(self, path, process, limit=60):
        if mounted(path):
            quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            try:
                done = subprocess.run(["umount", "-i", path], timeout=limit, check=False, **quiet)
                if done.returncode:
                    subprocess.run(["umount", "-i", "-l", path], timeout=10, check=False, **quiet)
            except subprocess.TimeoutExpired:
                process.kill()
                subprocess.run(["umount", "-i", "-l", path], timeout=10, check=False, **quiet)
        try:
            process.wait(limit)
        except subprocess.TimeoutExpired:
            pass
        self.stop(process, 10)
        if (path, process) in self.mounts:
            self.mounts.remove((path, process))

    def close(self):
        for path, process in list(self.mounts):
            self.unmount(path, process, 10)
        for process in list(self.processes):
            self.stop(process, 5)
        for path in (self.dir, self.state_dir):
            if path and not any(mounted(os.path.join(path, n)) for n in os.listdir(path)):
                shutil.rmtree(path, ignore_errors=True)

    def room(self, need):
        """Data lie in memory: stop before the machine runs out of it."""
        free = shutil.disk_usage(self.dir).free
        with open("/proc/meminfo", encoding="ascii") as f:
            available = next(int(x.split()[1]) * 1024 for x in f if x.startswith("MemAvailable:"))
        if min(free, available) < need:
            raise Failed(f"needs {need >> 20} MiB of memory, {min(free, available) >> 20} are free")


class Service:
    """obs-local. `latency` ms per request, `rate` bytes per second and connection (0: unlimited)."""

    def __init__(self, lab, latency=0, rate=0, null=False):
        self.lab, self.latency, self.rate, self.null = lab, latency, rate, null
        self.dir = lab.fresh("service")
        log = os.path.join(self.dir, "log")
        keys = os.path.join(self.dir, "keys")
        with open(os.open(keys, os.O_CREAT | os.O_WRONLY, 0o600), "w", encoding="ascii") as f:
            f.write(f"{AK}:{SK}\n")
        argv = [lab.program("tests/obs-local/obs-local"), "--data", os.path.join(self.dir, "data"),
                "--credential-file", keys, "--bucket", BUCKET]
        os.mkdir(os.path.join(self.dir, "data"))
        argv += ["--latency", str(latency)] if latency else []
        argv += ["--rate", str(rate)] if rate else []
        argv += ["--null-store"] if null else []
        self.process = lab.start(argv, log)
        self.port = self._wait_ready(log)
        self.client = obsclient.Client(self.port, AK, SK, BUCKET)

    def _wait_ready(self, log):
        for _ in range(200):
            with open(log, encoding="utf-8", errors="replace") as f:
                for line in f:
                    if line.startswith("obs-local: listening on "):
                        return int(line.strip().rstrip("/").rpartition(":")[2])
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise Failed("obs-local did not start")

    def __str__(self):
        text = f"{self.latency} ms a request"
        if self.rate:
            text += f", {self.rate / 1e6:.0f} MB/s a connection"
        return text + (", bytes not kept" if self.null else "")

    def _admin(self, method, path):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        c.request(method, path)
        text = c.getresponse().read()
        c.close()
        return text

    def reset(self):
        self._admin("POST", "/-/reset")

    def stats(self):
        return json.loads(self._admin("GET", "/-/requests"))

    def cpu(self):
        return cpu_of(self.process.pid)

    def close(self):
        self.lab.stop(self.process)
        shutil.rmtree(self.dir, ignore_errors=True)


class Driver:
    """A file system under test; mounted anew for every measurement, so that nothing is cached."""
    name = "?"

    def __init__(self, lab, service):
        self.lab, self.service = lab, service
        self.dir = self.process = self.log = None

    def command(self):
        raise NotImplementedError

    def mount(self):
        self.dir = self.lab.fresh("mount")
        self.log = os.path.join(self.lab.dir, self.name + ".log")
        argv, env = self.command()
        self.process = self.lab.start(argv, self.log, env)
        self.lab.mounts.append((self.dir, self.process))
        limit = time.monotonic() + 20
        while not mounted(self.dir):
            if self.process.poll() is not None or time.monotonic() > limit:
                self.unmount()
                raise Failed(f"{self.name} does not mount: {self.last_words()}")
            time.sleep(0.02)
        os.stat(self.dir)
        return self.dir

    def last_words(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            lines = f.read().strip().splitlines()
        return lines[-1] if lines else "no message"

    def unmount(self):
        self.lab.unmount(self.dir, self.process)
        try:
            os.rmdir(self.dir)
        except OSError:
            pass


class Obsmount(Driver):
    name = "obsmount"
    options = ""

    @staticmethod
    def version(lab):
        return first_line([lab.program("fs/obsmount"), "--version"])

    def command(self):
        keys = os.path.join(self.service.dir, "keys")
        options = (f"endpoint=http://127.0.0.1:{self.service.port},credential_file={keys},"
                   f"state_dir={self.lab.fresh('state', True)},part_size={PART},parallel={PARALLEL}")
        if self.options:
            options += "," + self.options
        return [self.lab.program("fs/obsmount"), BUCKET, self.dir, "-f", "-o", options], None


class S3fs(Driver):
    name = "s3fs"

    @staticmethod
    def version(lab):
        return first_line(["s3fs", "--version"])

    def command(self):
        options = (f"url=http://127.0.0.1:{self.service.port},use_path_request_style,"
                   f"passwd_file={self.service.dir}/keys,tmpdir={self.lab.fresh('state', True)},"
                   f"multipart_size={PART // MIB},parallel_count={PARALLEL}")
        return ["s3fs", BUCKET, self.dir, "-f", "-o", options], None


class Rclone(Driver):
    name = "rclone"

    @staticmethod
    def version(lab):
        return first_line(["rclone", "version"])

    def command(self):
        env = {"PATH": os.environ["PATH"], "HOME": self.lab.dir, "RCLONE_CONFIG": "/notfound",
               "RCLONE_CONFIG_B_TYPE": "s3", "RCLONE_CONFIG_B_PROVIDER": "Other",
               "RCLONE_CONFIG_B_ENDPOINT": f"http://127.0.0.1:{self.service.port}",
               "RCLONE_CONFIG_B_ACCESS_KEY_ID": AK, "RCLONE_CONFIG_B_SECRET_ACCESS_KEY": SK,
               "RCLONE_CONFIG_B_FORCE_PATH_STYLE": "true", "RCLONE_CONFIG_B_NO_CHECK_BUCKET": "true",
               "RCLONE_CONFIG_B_CHUNK_SIZE": f"{PART // MIB}Mi",
               "RCLONE_CONFIG_B_UPLOAD_CONCURRENCY": str(PARALLEL)}
        # without a cache a close() returns when the file is stored, as with the others
        return ["rclone", "mount", f"b:{BUCKET}", self.dir, "--vfs-cache-mode", "off"], env


class Floor(Driver):
    name = "floor"
    backing = None

    def command(self):
        return [self.lab.program("tests/bench/bench-floor"), self.backing, self.dir], None


def first_line(argv):
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.splitlines()[0].strip() if done.stdout else None


def run_app(argv, cwd="/"):
    """Runs an application; returns (wall seconds, CPU seconds of it and its children)."""
    begin = time.monotonic()
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, cwd=cwd, preexec_fn=die_with_parent,
                               start_new_session=True)
    old = signal.signal(signal.SIGALRM, lambda *_: os.killpg(process.pid, signal.SIGKILL))
    signal.alarm(APP_LIMIT)
    try:
        words = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, old)
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)
    wall = time.monotonic() - begin
    if process.returncode:
        text = words.decode(errors="replace").strip().splitlines()
        raise Failed(f"{argv[0]} failed ({process.returncode}): {text[-1] if text else ''}")
    return wall, usage.ru_utime + usage.ru_stime


class Sample:
    """What one measurement gave."""

    def __init__(self, seconds, cpu=None, rss=None, stats=None, service_cpu=None):
        self.seconds, self.cpu, self.rss, self.service_cpu = seconds, cpu, rss, service_cpu
        self.ops = {n: o["count"] for n, o in stats["operations"].items()} if stats else {}
        self.requests = stats["total"]["count"] if stats else None
        self.bytes_in = stats["total"].get("bytes_in", 0) if stats else 0
        self.bytes_out = stats["total"].get("bytes_out", 0) if stats else 0


def measure(driver, argv, cwd="/", stored=None):
    """One application on a mounted driver. `stored` says whether all is in the bucket; the clock
    stops only then."""
    service = driver.service
    service.reset()
    cpu, service_cpu = cpu_of(driver.process.pid), service.cpu()
    begin = time.monotonic()
    seconds, app = run_app(argv, cwd)
    stats = service.stats()
    while stored and not stored():
        time.sleep(0.05)
        seconds = time.monotonic() - begin
        stats = service.stats()
        if seconds > APP_LIMIT:
            raise Failed("not stored in time")
    return Sample(seconds, cpu_of(driver.process.pid) - cpu + app, peak_rss_of(driver.process.pid),
                  stats, service.cpu() - service_cpu)
