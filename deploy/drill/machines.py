"""Machines for the drill: a network namespace and a view of the disk each, joined by a bridge, and stand-ins for systemd, ssh and
scp. Nothing of this machine is changed: `/etc` and `/usr/local/bin` are overlays, `/var/lib` and `/run` are folders of the
machine's own. All of it is gone when the last of its processes is.
"""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import units

HERE = Path(__file__).resolve().parent
# Where the machines' own folders hide what this machine has there.
HIDDEN = ("/etc", "/usr/local/bin", "/var/lib", "/run")


class Problem(Exception):
    """One sentence for the person who ran this."""


def needs():
    """Fails with one sentence where the drill cannot be played."""
    if os.geteuid() != 0:
        raise Problem("the drill needs root: it makes network namespaces")
    for program in ("ip", "nsenter", "unshare", "setpriv", "openssl", "curl", "bash"):
        if not shutil.which(program):
            raise Problem(f"the drill needs {program} (iproute2, util-linux, openssl, curl and bash have what it needs)")


class Site:
    """Machines that reach each other, and nobody else."""

    def __init__(self, folder, checkout, addresses):
        self.folder, self.checkout = folder, checkout
        self.machines, self.holders = {}, []
        try:
            self._build(addresses)
        except BaseException:
            self.end()
            raise

    def _build(self, addresses):
        for folder in (self.folder, self.checkout.parent):
            if any(str(folder.resolve()).startswith(f"{hidden}/") for hidden in HIDDEN):
                raise Problem(f"{folder} lies below {', '.join(HIDDEN)}, which the machines have of their own")
        switch = self._holder(["--net"], "exec sleep infinity")
        inside(switch, "ip link add site type bridge && ip link set site up")
        hosts = "127.0.0.1 localhost\n" + "".join(f"{address} {name}\n" for name, address in addresses.items())
        for number, (name, address) in enumerate(addresses.items()):
            folder = self.folder / name.split(".")[0]
            shims = folder / "stand-ins"
            shims.mkdir(parents=True)
            for stand_in in ("systemctl", "ssh", "scp"):
                script = shims / stand_in
                script.write_text(f'#!/bin/sh\nexec {sys.executable} -B {HERE}/machines.py {stand_in} {folder} "$@"\n')
                script.chmod(0o755)
            (folder / "var-lib").mkdir()
            (folder / "rw").mkdir()
            (folder / "hosts").write_text(hosts)
            pid = self._holder(["--net", "--mount", "--propagation", "private"], f"""
                set -e
                cd {folder}
                mount -t tmpfs tmpfs rw
                for part in etc usr-local-bin; do mkdir rw/$part rw/$part-work; done
                mount -t overlay overlay -o lowerdir=/etc,upperdir=rw/etc,workdir=rw/etc-work /etc
                mount -t overlay overlay -o lowerdir=/usr/local/bin,upperdir=rw/usr-local-bin,workdir=rw/usr-local-bin-work /usr/local/bin
                mount --bind var-lib /var/lib
                mount -t tmpfs tmpfs /run
                cp hosts /etc/hosts
                mkdir -p /var/lib/home /etc/systemd/system
                ip link set lo up
                touch up
                exec sleep infinity""")
            wait(f"{name} is up", lambda: (folder / "up").exists(), 20)
            inside(switch, f"ip link add port{number} type veth peer name eth0 netns {pid}")
            inside(switch, f"ip link set port{number} master site up")
            inside(pid, f"ip addr add {address}/24 dev eth0 && ip link set eth0 up")
            self.machines[name] = pid
        (self.folder / "machines.json").write_text(json.dumps(self.machines))

    def _holder(self, flags, script):
        process = subprocess.Popen(["unshare", *flags, "sh", "-c", script], stdin=subprocess.DEVNULL)
        self.holders.append(process)
        mine = os.stat("/proc/self/ns/net").st_ino
        wait("a namespace is there", lambda: os.stat(f"/proc/{process.pid}/ns/net").st_ino != mine, 20)
        return process.pid

    def path(self, name, path):
        """A file of a machine."""
        return Path(f"/proc/{self.machines[name]}/root{path}")

    def plays(self, name, script, patience=180, code=0, more_path=""):
        """Types a script at a machine, in the checkout; gives what it said."""
        argv = command_at(self.folder / name.split(".")[0], self.machines[name], script, self.checkout, more_path)
        try:
            done = subprocess.run(
                argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                timeout=patience, check=False,
            )
        except subprocess.TimeoutExpired as late:
            said = (late.stdout or b"").decode(errors="replace")[-2000:]
            raise Problem(f"at {name} this took more than {patience} s:\n{script}\n--- it said\n{said}") from None
        if done.returncode != code:
            raise Problem(f"at {name} the exit code was {done.returncode} and not {code}:\n{script}\n--- it said\n{done.stdout}")
        return done.stdout

    def logs(self):
        """What the services said, newest last."""
        for name in self.machines:
            for log in sorted((self.folder / name.split(".")[0]).glob("*.log")):
                yield f"{name} {log.stem}", log.read_text(errors="replace").splitlines()[-15:]

    def end(self):
        """Ends every process in the namespaces, each by its id."""
        spaces = set()
        for holder in self.holders:
            try:
                spaces.add(os.stat(f"/proc/{holder.pid}/ns/net").st_ino)
            except OSError:
                pass
        spaces.discard(os.stat("/proc/self/ns/net").st_ino)
        for _ in range(50):
            left = [pid for pid in processes() if space(pid) in spaces]
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            for holder in self.holders:
                holder.poll()
            if not left:
                return
            time.sleep(0.05)


def processes():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def space(pid):
    try:
        return os.stat(f"/proc/{pid}/ns/net").st_ino
    except OSError:
        return None


def inside(pid, script):
    done = subprocess.run(["nsenter", "-t", str(pid), "-n", "sh", "-c", script], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Problem(f"the network cannot be made: {done.stderr.strip()}")


def wait(what, ask, seconds):
    deadline = time.monotonic() + seconds
    while True:
        try:
            if ask():
                return
        except OSError:
            pass
        if time.monotonic() > deadline:
            raise Problem(f"waited {seconds} s in vain: {what}")
        time.sleep(0.05)


def command_at(folder, pid, script, place, more_path=""):
    path = f"{folder}/stand-ins:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" + (f":{more_path}" if more_path else "")
    environment = [f"PATH={path}", "HOME=/var/lib/home", "LC_ALL=C.UTF-8", "NO_COLOR=1"]
    return ["nsenter", "-t", str(pid), "-n", "-m", "env", "-i", *environment, "bash", "-eo", "pipefail", "-c", f"cd {place}\n{script}"]


# Stand-ins: each is a process inside a machine.


class Here:
    """Paths of the machine that one is in."""

    def path(self, path):
        return Path(path)

    def credentials(self, unit):
        return Path("/run/credentials") / unit.name


class Service:
    """A unit of this machine, run by a process that starts it again as its unit says."""

    def __init__(self, folder, name):
        name = name if name.endswith(".service") else f"{name}.service"
        self.folder, self.name = folder, name
        base = Path("/etc/systemd/system")
        template = name if "@" not in name else name.split("@")[0] + "@.service"
        if not (base / template).is_file():
            raise Problem(f"Unit {name} could not be found.")
        self.unit = units.Unit([base / template, *sorted((base / f"{template}.d").glob("*.conf"))], name)
        digest = hashlib.sha256(name.encode()).digest()
        self.user = 61184 + int.from_bytes(digest[:2], "big") % 4000 if self.unit.one("DynamicUser") == "yes" else 0
        self.state = Path("/run") / f"drill-{name}"

    def known(self, key):
        try:
            return int((self.state / key).read_text())
        except (OSError, ValueError):
            return None

    def running(self):
        pid = self.known("supervisor")
        return pid is not None and os.path.exists(f"/proc/{pid}")

    def start(self):
        if self.running():
            return
        shutil.rmtree(self.state, ignore_errors=True)
        self.state.mkdir()
        with open(self.folder / f"{self.name}.log", "a") as log:
            process = subprocess.Popen(
                [sys.executable, "-B", __file__, "supervise", str(self.folder), self.name],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )
        (self.state / "supervisor").write_text(str(process.pid))
        wait(f"{self.name} is started", lambda: self.known("main") or process.poll() is not None, 20)
        if not self.known("main"):
            raise Problem(f"Job for {self.name} failed.")

    def stop(self, by=None):
        if not self.running():
            return
        (self.state / "stopping").touch()
        self.tell(by or getattr(signal, self.unit.one("KillSignal", "SIGTERM")))
        deadline = time.monotonic() + float(self.unit.one("TimeoutStopSec", "90"))
        while self.running():
            if time.monotonic() > deadline:
                self.tell(signal.SIGKILL)
            time.sleep(0.05)

    def tell(self, what):
        main = self.known("main")
        if main:
            try:
                os.kill(main, what)
            except ProcessLookupError:
                pass

    def reload(self):
        if not self.running():
            raise Problem(f"{self.name} is not active, cannot reload.")
        environment = self.unit.environment(Here())
        for line in self.unit.all("ExecReload"):
            self.run(line, environment, {"MAINPID": str(self.known("main"))})

    def run(self, line, environment, more=None):
        words, full = self.unit.command(line, environment, Here(), more)
        done = subprocess.run(words if full else self.lower(words), env=self.whole(environment), check=False)
        if done.returncode:
            raise Problem(f"{self.name}: {words} ended with {done.returncode}")

    def whole(self, environment):
        return {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/", **environment}

    def lower(self, words):
        """As the user of the service, with no capability and no way to get one."""
        if not self.user:
            return words
        lowered = ["setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--clear-groups", "--bounding-set=-all"]
        return [*lowered, "--inh-caps=-all", "--no-new-privs", *words]

    def folders(self):
        """State and runtime folders are the service's, whoever made them: with all in them if the owner is another."""
        for key, base in (("StateDirectory", "/var/lib"), ("RuntimeDirectory", "/run")):
            for name in self.unit.specifiers(self.unit.one(key, "")).split():
                folder = Path(base) / name
                folder.mkdir(parents=True, exist_ok=True)
                if folder.stat().st_uid != self.user:
                    for path in [folder, *folder.rglob("*")]:
                        os.chown(path, self.user, self.user, follow_symlinks=False)
                folder.chmod(int(self.unit.one(f"{key}Mode", "0755"), 8))
                # Folders above are passed through, as below /var/lib/private.
                for above in folder.relative_to(base).parents:
                    if str(above) != ".":
                        (Path(base) / above).chmod(0o711)
        if self.unit.all("LoadCredential"):
            place = Here().credentials(self.unit)
            place.mkdir(parents=True, exist_ok=True)
            for line in self.unit.all("LoadCredential"):
                target, _, source = line.partition(":")
                shutil.copy(source, place / target)
                (place / target).chmod(0o400)
                os.chown(place / target, self.user, self.user)

    def supervise(self):
        environment = self.unit.environment(Here())
        # Not only the last digit: exit codes that end it for good.
        final = set(self.unit.one("RestartPreventExitStatus", "").split())
        while True:
            self.folders()
            for line in self.unit.all("ExecStartPre"):
                self.run(line, environment)
            words, _ = self.unit.command(self.unit.one("ExecStart"), environment, Here())
            os.umask(int(self.unit.one("UMask", "0022"), 8))
            process = subprocess.Popen(self.lower(words), env=self.whole(environment), cwd="/")
            (self.state / "main").write_text(str(process.pid))
            code = process.wait()
            print(f"--- {self.name} ended with {code}", flush=True)
            again = {"always": True, "on-failure": code != 0}.get(self.unit.one("Restart", "no"), False)
            if (self.state / "stopping").exists() or not again or str(code) in final:
                return
            time.sleep(float(self.unit.one("RestartSec", "0.1")))


def systemctl(folder, words):
    verb, names = words[0], [word for word in words[1:] if not word.startswith("-")]
    if verb == "daemon-reload":
        return
    if verb == "enable":
        if "--now" not in words:
            return
        verb = "start"
    for name in names:
        service = Service(folder, name)
        if verb == "restart":
            service.stop()
            service.start()
        elif verb == "kill":
            service.stop(signal.SIGKILL)
        elif verb == "show":
            print(service.known("main"))
        elif verb in ("start", "stop", "reload"):
            getattr(service, verb)()
        else:
            raise Problem(f"the stand-in for systemctl does not know {verb}")


def ssh(folder, words):
    host, *command = words
    machines = json.loads((folder.parent / "machines.json").read_text())
    there = folder.parent / host.split(".")[0]
    done = subprocess.run(command_at(there, machines[host], " ".join(command), "/"), check=False)
    return done.returncode


def scp(folder, words):
    machines = json.loads((folder.parent / "machines.json").read_text())
    keep = "-p" in words
    *sources, target = [word for word in words if not word.startswith("-")]

    def place(word):
        host, colon, path = word.partition(":")
        return Path(f"/proc/{machines[host]}/root{path}") if colon else Path(word)

    umask = os.umask(0o077)
    os.umask(umask)
    for source in map(place, sources):
        to = place(target)
        to = to / source.name if to.is_dir() else to
        new = not to.exists()
        shutil.copyfile(source, to)
        if keep or new:
            to.chmod(source.stat().st_mode & (0o7777 if keep else 0o777 & ~umask))


def main():
    stand_in, folder, *words = sys.argv[1:]
    try:
        if stand_in == "supervise":
            Service(Path(folder), words[0]).supervise()
            return 0
        return {"systemctl": systemctl, "ssh": ssh, "scp": scp}[stand_in](Path(folder), words) or 0
    except (Problem, units.Problem) as problem:
        print(f"{stand_in}: {problem}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
