#!/usr/bin/env python3
"""Plays "Three machines" of ../README.md in network namespaces, then loses things and upgrades: `cargo xtask drill three-hosts`.

The commands are the boxes of the text, marked `<!-- play: NAME on MACHINES -->`; this file only says in which order they are typed,
what happens in between (a disk is lost, a build is newer), and what must be seen afterwards.
"""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import machines
import units
from machines import Problem, Site, wait

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "deploy/README.md"
SERVERS = ["chat1.example.org", "chat2.example.org", "chat3.example.org"]
ADDRESSES = {name: f"10.0.0.{number}" for number, name in enumerate(SERVERS, 1)} | {"desk": "10.0.0.9"}
# All of it; each box has three minutes.
PATIENCE = 25 * 60
OPERATE = "cipher-registry --config /etc/cipher/operator.toml"


def boxes():
    """The marked boxes of the text, by name: on which machines, and what is typed."""
    found = {}
    for match in re.finditer(r"<!-- play: ([a-z-]+) on ([a-z0-9 ]+) -->\n```sh\n(.*?)```", README.read_text(), re.DOTALL):
        name, where, script = match.groups()
        if name in found:
            raise Problem(f"two boxes of {README} are called {name}")
        found[name] = ([next(full for full in ADDRESSES if full.split(".")[0] == short) for short in where.split()], script)
    marks = README.read_text().count("<!-- play:")
    if len(found) != marks:
        raise Problem(f"{marks - len(found)} of {marks} marks in {README} are not followed by a box")
    return found


class Drill:
    def __init__(self, folder, binaries, change=lambda name, script: script):
        self.boxes, self.played, self.change = boxes(), [], change
        self.checkout = folder / "checkout"
        (self.checkout / "target").mkdir(parents=True)
        for part in ("deploy", "broker-config"):
            (self.checkout / part).symlink_to(ROOT / part)
        self.builds(binaries)
        given = os.environ.get("NATS_SERVER_BIN")
        self.nats = str(Path(given).parent) if given else ""
        self.site = Site(folder / "machines", self.checkout, ADDRESSES)

    def builds(self, binaries):
        """From now on the checkout holds this build."""
        release = self.checkout / "target/release"
        release.unlink(missing_ok=True)
        release.symlink_to(binaries)

    def play(self, name, only=None):
        """Types a box at its machines, one after the other; gives what each said."""
        where, script = self.boxes[name]
        said, began = {}, time.monotonic()
        for machine in [only] if only else where:
            said[machine] = self.site.plays(machine, self.change(name, script), more_path=self.nats)
        self.played.append(name)
        tell(f"  {name:<15} {' '.join(m.split('.')[0] for m in said):<18} {time.monotonic() - began:6.1f} s")
        return said

    def at(self, machine, script, code=0):
        return self.site.plays(machine, script, code=code, more_path=self.nats)

    # What must be seen.

    def sees_replicas(self, count):
        def well():
            lines = self.at(SERVERS[0], f"{OPERATE} --json replicas").splitlines()
            found = [json.loads(line) for line in lines if line.startswith("{")]
            return len(found) == count and sum(r["writes"] for r in found) == 1 and not any(r["behind"] for r in found)

        wait(f"{count} registries, one writes, none is behind", well, 60)

    def sees_health(self):
        for machine, said in self.play("healthy").items():
            must('"status":"ok"' in said and '"sync_always": true' in said, f"{machine}: {said}")

    def reads(self, person, target):
        said = self.at("desk", f"cipher-chat --json {person} read {target} -n 10000")
        lines = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
        return [line["text"] for line in lines if line["type"] == "message" and line.get("kind") == "text"]

    def certificate(self, machine):
        """What a broker shows to its clients."""
        said = self.at("desk", f"""openssl s_client -connect {machine}:4222 -servername {machine} -CAfile /etc/cipher-chat/ca.pem \
            -verify_return_error -verify_hostname {machine} </dev/null 2>/dev/null | openssl x509 -noout -serial""")
        return said.strip()

    def main_pid(self, machine, unit):
        return self.at(machine, f"systemctl show {unit}").strip()


def must(true, otherwise):
    if not true:
        raise Problem(otherwise)


def tell(text):
    print(text, flush=True)


def set_up(drill):
    """Steps 1 to 5."""
    drill.play("install")
    drill.play("certificates")
    drill.play("settings")
    drill.play("hand-out")
    drill.play("brokers")
    drill.sees_health()
    drill.play("registry")
    drill.play("registries")
    drill.sees_replicas(3)
    said = drill.play("replicas")[SERVERS[0]]
    must(said.count("  follows  ") == 2 and said.count("  writes  ") == 1, said)


def word_for_word(drill):
    set_up(drill)
    said = drill.play("person")["desk"]
    must("phrase" in said and "fail" not in said, said)
    drill.play("bot")
    drill.play("talk")

    before = {machine: drill.certificate(machine) for machine in SERVERS}
    broker, bot = drill.main_pid(SERVERS[1], "cipher-nats"), drill.main_pid(SERVERS[0], "cipher-bot@echo")
    drill.play("renew")
    wait("the renewed certificate is shown", lambda: drill.certificate(SERVERS[1]) != before[SERVERS[1]], 20)
    must(drill.certificate(SERVERS[0]) == before[SERVERS[0]], "another broker's certificate changed too")
    must(drill.main_pid(SERVERS[1], "cipher-nats") == broker, "the broker was restarted")
    must(drill.main_pid(SERVERS[0], "cipher-bot@echo") == bot, "the bot was restarted")
    answered(drill, "after the certificate")

    drill.play("lost-disk")
    drill.sees_health()
    answered(drill, "after a disk")
    drill.play("lost-registry")
    drill.sees_replicas(3)

    everything_is_lost(drill)
    left = set(drill.boxes) - set(drill.played) - {"upgrade", "restart"}
    must(not left, f"boxes that nobody typed: {', '.join(sorted(left))}")


def answered(drill, words):
    """The bot answers, within what the loss of a node may take."""
    drill.at("desk", f'cipher-chat send lobby "/echo {words}"')
    wait(f"the bot answers {words}", lambda: words in drill.reads("", "lobby"), 60)


def everything_is_lost(drill):
    """All brokers' disks, with the registries' folders kept."""
    for machine in SERVERS:
        drill.at(machine, "systemctl kill cipher-nats; rm -rf /var/lib/cipher-nats/*")
    for machine in SERVERS:
        drill.at(machine, "systemctl start cipher-nats")
    tell("  (all three brokers died and came back with empty disks)")
    drill.sees_health()
    said = drill.play("lost-all-stop")
    for machine, text in said.items():
        must(json.loads(text[text.index("{"):])["followed"] > 0, f"{machine}: {text}")
    text = drill.at(SERVERS[1], f"{OPERATE} serve", code=7)
    must("begin-log" in text and "empty folder" not in text, text)
    drill.play("lost-all-begin")
    drill.sees_replicas(3)
    drill.at("desk", "cipher-chat --profile ben register ben && cipher-chat profile show example-bots")
    drill.at("desk", "cipher-chat --profile again register ana", code=8)
    drill.at("desk", "cipher-chat group create again --with ben && cipher-chat --profile ben group accept again")
    drill.at("desk", 'cipher-chat send again "after everything"')
    wait("ben reads what ana says", lambda: "after everything" in drill.reads("--profile ben", "again"), 60)


def without_tls(name, script):
    """The boxes for a build of before there was TLS from the first byte: the same, but for TLS and what came with it."""
    script = script.replace("tls://", "nats://")
    certificates = re.compile(r"tls\.conf|ca\.pem|_SYNC=|^sync = |TLS_CA|tls-ca|tls_ca|\$host\.(pem|key)|cipher-nats-\*")
    if name == "install":
        script += "install -m 644 deploy/systemd/cipher-nats-cluster.conf /etc/systemd/system/cipher-nats.service.d/\n"
    if name == "person":
        return script.replace(" chat1.example.org:/etc/cipher/tls/ca.pem", "")
    if name == "certificates":
        return "mkdir -p /etc/cipher/site\n"
    return "".join(line for line in script.splitlines(keepends=True) if not certificates.search(line))


def without_seal(name, script):
    """The boxes for a build of before the registry's key was sealed: nothing lies beside it."""
    return script.replace(" /var/lib/cipher-registry/registry.unlock", "") if name == "registry" else script


def rolling_upgrade(drill, binaries):
    """From an older build to this one, machine by machine, while somebody talks all the time."""
    set_up(drill)
    drill.play("person")
    drill.at("desk", """cipher-chat --profile ben register ben
        cipher-chat group create team --with ben
        cipher-chat --profile ben group accept team""")
    drill.builds(binaries)
    sent, failed, over = [], [], threading.Event()

    def talk():
        while not over.is_set():
            words = f"word {len(sent) + len(failed)}"
            try:
                drill.at("desk", f'cipher-chat send team "{words}"')
                sent.append(words)
            except Problem as problem:
                failed.append(f"{words}: {problem}")

    talking = threading.Thread(target=talk)
    talking.start()
    try:
        for machine in SERVERS:
            drill.play("upgrade", machine)
            drill.sees_replicas(3)
            drill.play("restart", machine)
    finally:
        over.set()
        talking.join()
    must(not failed, f"{len(failed)} of {len(sent) + len(failed)} messages were not taken: {failed[:1]}")
    drill.at("desk", "install -m 755 target/release/cipher-chat /usr/local/bin/ && cipher-chat sync")
    wait("everything said is read", lambda: len(drill.reads("--profile ben", "team")) >= len(sent), 60)
    must(sorted(drill.reads("--profile ben", "team")) == sorted(sent), "something is missing or there twice")
    tell(f"  ({len(sent)} messages were said meanwhile, and each was read once)")


def version(binaries):
    done = subprocess.run([binaries / "cipher-registry", "--version"], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binaries", type=Path, required=True, help="folder of the build that is tried")
    parser.add_argument("--from-binaries", type=Path, help="folder of the build that is upgraded from")
    parser.add_argument("--from-has-tls", action="store_true", help="that build speaks TLS from the first byte")
    parser.add_argument("--from-seals", action="store_true", help="that build seals the registry's key")
    parser.add_argument("--act", choices=["all", "text", "upgrade"], default="all")
    asked = parser.parse_args()
    signal.alarm(PATIENCE)
    drill, began = None, time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="cipher-drill-"))
    try:
        machines.needs()
        if asked.act != "upgrade":
            tell("the text, word for word")
            drill = Drill(folder / "text", asked.binaries.resolve())
            word_for_word(drill)
            drill.site.end()
        if asked.from_binaries and asked.act != "text":
            tell("an upgrade, machine by machine")
            changes = [without_tls] * (not asked.from_has_tls) + [without_seal] * (not asked.from_seals)

            def change(name, script):
                for one in changes:
                    script = one(name, script)
                return script

            drill = Drill(folder / "upgrade", asked.from_binaries.resolve(), change)
            rolling_upgrade(drill, asked.binaries.resolve())
            drill.site.end()
        tell(f"three hosts: all went as written, {time.monotonic() - began:.0f} s")
        return 0
    except (Problem, units.Problem) as problem:
        for name, lines in drill.site.logs() if drill else ():
            print(f"--- {name}", *lines, sep="\n", file=sys.stderr)
        print(f"error: {problem}", file=sys.stderr)
        return 1
    finally:
        if drill:
            drill.site.end()
        shutil.rmtree(folder, ignore_errors=True)


def too_long(_signal, _frame):
    raise Problem(f"the drill took longer than {PATIENCE} s")


if __name__ == "__main__":
    signal.signal(signal.SIGALRM, too_long)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main())
