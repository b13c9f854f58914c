"""The shipped units and compose files, run as they are: their own command lines, in an empty home, against a real broker and
registry. Needs the built binaries (TESTBED_BIN_DIR, else target/debug) and a nats-server; `cargo xtask test` has both ready.
"""

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

DEPLOY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(DEPLOY / "drill"))
import units  # noqa: E402  (found by the line above)

BINARIES = Path(os.environ.get("TESTBED_BIN_DIR") or DEPLOY.parent / "target" / "debug")
PATIENCE = 60
UNITS = DEPLOY / "systemd"
PASSWORDS = {f"CIPHER_{login}_PASSWORD": secrets.token_hex(12) for login in ("AGENT", "REGISTRY", "OPERATOR", "ROUTE")}


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def nats_server():
    given = os.environ.get("NATS_SERVER_BIN")
    if given:
        return given
    found = subprocess.run([sys.executable, DEPLOY / "get-nats-server"], capture_output=True, text=True, check=True)
    return found.stdout.strip()


class Place:
    """Where a machine's paths are: below a folder, so that nothing of this machine is touched."""

    def __init__(self, root):
        self.root = root

    def path(self, path):
        return self.root / str(path).lstrip("/")

    def credentials(self, _unit):
        return self.root / "run/credentials"

    def mapped(self, text):
        """The machine's folders in a word of a command line or a value of the environment."""
        for folder in ("/usr/local/bin", "/etc/cipher", "/var/lib", "/run/cipher-nats"):
            text = text.replace(f"{folder}/", f"{self.root}{folder}/")
        return text


class Machine(unittest.TestCase):
    """A machine in a folder, with the programs and files that the README installs."""

    def setUp(self):
        for name in ("cipher-chat", "cipher-registry"):
            if not (BINARIES / name).is_file():
                self.fail(f"{name} is not built: cargo build --workspace --bins")
        folder = tempfile.TemporaryDirectory(prefix="cipher-services-")
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        self.place = Place(self.root)
        programs = self.place.path("/usr/local/bin")
        programs.mkdir(parents=True)
        for name in ("cipher-chat", "cipher-registry"):
            (programs / name).symlink_to(BINARIES / name)
        (programs / "nats-server").symlink_to(nats_server())
        shutil.copytree(DEPLOY.parent / "broker-config/server", self.place.path("/etc/cipher/server"))
        self.place.path("/run/credentials").mkdir(parents=True)
        self.port, self.http = free_port(), free_port()

    def example(self, name, changes):
        """One of the shipped examples, filled in."""
        text = (UNITS / f"{name}.example").read_text()
        for old, new in changes.items():
            self.assertIn(old, text, name)
            text = text.replace(old, new)
        self.assertNotIn("…", "".join(line for line in text.splitlines() if not line.startswith("#")), name)
        file = self.place.path(f"/etc/cipher/{name}")
        file.write_text(text)

    def start(self, argv, environment, **more):
        """Starts a program with that environment and no other."""
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.root / "nobody"), **environment}
        log = open(self.root / f"log-{Path(argv[0]).name}-{secrets.token_hex(3)}", "w+")
        self.addCleanup(log.close)
        process = subprocess.Popen(argv, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **more)
        process.log = log
        self.addCleanup(self.end, process)
        return process

    def end(self, process):
        if process.poll() is None:
            process.kill()
        process.wait(PATIENCE)

    def unit(self, name, *drop_ins):
        template = name if "@" not in name else name.split("@")[0] + "@.service"
        unit = units.Unit([UNITS / template, *[UNITS / drop_in for drop_in in drop_ins]], name)
        environment = {key: self.place.mapped(value) for key, value in unit.environment(self.place).items()}
        for folder in (unit.one("StateDirectory") or "").split():
            self.place.path(f"/var/lib/{unit.specifiers(folder)}").mkdir(parents=True, exist_ok=True)
        for credential in unit.all("LoadCredential"):
            target, _, source = credential.partition(":")
            shutil.copy(self.place.path(source), self.place.credentials(unit) / target)
        words, full = unit.command(unit.one("ExecStart"), environment, self.place)
        self.assertFalse(full)
        return unit, [self.place.mapped(word) for word in words], environment

    def run_unit(self, name, *drop_ins):
        _, words, environment = self.unit(name, *drop_ins)
        return self.start(words, environment)

    def healthy(self, process):
        import urllib.request

        def asked():
            self.assertIsNone(process.poll(), self.said(process))
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.http}/healthz", timeout=2) as answer:
                    return answer.status == 200
            except OSError:
                return False

        self.until("the broker is healthy", asked)

    def until(self, what, ask):
        deadline = time.monotonic() + PATIENCE
        while not ask():
            if time.monotonic() > deadline:
                self.fail(f"waited in vain: {what}")
            time.sleep(0.02)

    def said(self, process):
        process.log.flush()
        return Path(process.log.name).read_text()

    def says(self, process, words):
        def heard():
            if words in self.said(process):
                return True
            self.assertIsNone(process.poll(), self.said(process))
            return False

        self.until(words, heard)

    def chat(self, home, *arguments, environment=None, code=0):
        """A command of a person or an operator, to its end."""
        argv = [str(self.place.path("/usr/local/bin/cipher-chat")), "--home", str(home), *arguments]
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.root), **(environment or {})}
        done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False)
        self.assertEqual(done.returncode, code, f"{argv}\n{done.stdout}{done.stderr}")
        return done

    def site(self):
        """A single broker and its registry, by their units and the examples beside them."""
        quoted = {f"{name}='\"…\"'": f"{name}='\"{word}\"'" for name, word in PASSWORDS.items() if "ROUTE" not in name}
        self.example("nats.env", {
            "CIPHER_NATS_PORT=4222": f"CIPHER_NATS_PORT={self.port}",
            "127.0.0.1:8222": f"127.0.0.1:{self.http}",
            "/var/lib/cipher-nats": str(self.place.path("/var/lib/cipher-nats")),
            **quoted,
        })
        self.example("registry.env", {"nats://127.0.0.1:4222": f"nats://127.0.0.1:{self.port}"})
        self.example("bot.env", {
            "nats://agent:…@127.0.0.1:4222": f"nats://agent:{PASSWORDS['CIPHER_AGENT_PASSWORD']}@127.0.0.1:{self.port}",
        })
        self.place.path("/etc/cipher/registry.password").write_text(PASSWORDS["CIPHER_REGISTRY_PASSWORD"] + "\n")
        self.broker = self.run_unit("cipher-nats.service")
        self.healthy(self.broker)
        self.registry = self.run_unit("cipher-registry.service")
        self.says(self.registry, "ready")
        self.server = {"CIPHER_CHAT_SERVER": f"nats://agent:{PASSWORDS['CIPHER_AGENT_PASSWORD']}@127.0.0.1:{self.port}"}

    def lobby(self, owner, bot_home, profile):
        """Somebody talks to the bot where its owner added it."""
        ana = self.root / "ana"
        self.chat(ana, "register", "ana", environment=self.server)
        self.chat(owner, "--profile", profile, "group", "create", "lobby", "--with", "ana,echo", environment=self.server)
        self.chat(ana, "group", "accept", "lobby", environment=self.server)
        self.chat(ana, "send", "lobby", "/echo is anybody there", environment=self.server)

        def answered():
            read = self.chat(ana, "--json", "read", "lobby", "-n", "50", environment=self.server).stdout
            lines = [json.loads(line) for line in read.splitlines()]
            return any(
                line.get("text") == "is anybody there" and line["from"]["handle"] == "echo" for line in lines
            )

        self.until("the bot answers", answered)


class Units(Machine):
    def test_b6_the_bots_unit_starts_in_an_empty_home_after_one_documented_command(self):
        self.site()
        home = self.place.path("/var/lib/cipher-bot/echo")
        unit, words, environment = self.unit("cipher-bot@echo.service")
        first = self.start(words, environment)
        self.assertEqual(first.wait(PATIENCE), 9, self.said(first))
        hint = f"bot register echo --into {home}"
        self.assertIn(hint, self.said(first))
        self.assertNotIn("register HANDLE", self.said(first), "a person must not be told to take the bot's handle")
        self.assertIn("9", unit.one("RestartPreventExitStatus").split(), "starting again changes nothing")

        owner = self.root / "owner"
        refused = self.chat(home, "--profile", "echo", "register", "echo", environment=self.server, code=2)
        self.assertIn("bot register echo", refused.stderr)
        self.chat(owner, "--profile", "site", "register", "example-bots", environment=self.server)
        made = ["--profile", "site", "bot", "register", "echo", "--into", str(home)]
        self.chat(owner, *made, environment=self.server)
        again = self.chat(owner, "--json", *made, environment=self.server)
        self.assertEqual(json.loads(again.stdout)["handle"], "echo", "repeating it changes nothing")
        bot = self.start(words, environment)
        self.says(bot, "echo")
        self.lobby(owner, home, "site")
        self.assertFalse((home / "profiles/site").exists(), "the bot's home has nothing of its owner")
        bot.send_signal(signal.SIGTERM)
        self.assertEqual(bot.wait(PATIENCE), 0, self.said(bot))

    def test_c9_a_single_broker_ends_within_two_seconds_by_its_units_signal_with_clients_connected(self):
        unit = units.Unit([UNITS / "cipher-nats.service"], "cipher-nats.service")
        self.site()
        clients = [self.client() for _ in range(100)]
        began = time.monotonic()
        self.broker.send_signal(getattr(signal, unit.one("KillSignal", "SIGTERM")))
        self.broker.wait(PATIENCE)
        took = time.monotonic() - began
        self.assertLess(took, 2, "clients are kept waiting")
        for client in clients:
            client.close()

    def client(self):
        """A client of the broker by hand: logged in and answered."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
        login = {"user": "agent", "pass": PASSWORDS["CIPHER_AGENT_PASSWORD"], "verbose": False}
        connection.sendall(b"CONNECT " + json.dumps(login).encode() + b"\r\nPING\r\n")
        read = b""
        while b"PONG" not in read:
            part = connection.recv(4096)
            self.assertTrue(part, read)
            read += part
        return connection

    def test_c9_lame_duck_is_for_nodes_of_a_cluster_alone(self):
        single = units.Unit([UNITS / "cipher-nats.service"], "cipher-nats.service")
        node = units.Unit([UNITS / "cipher-nats.service", UNITS / "cipher-nats-cluster.conf"], "cipher-nats.service")
        self.assertEqual(single.one("KillSignal", "SIGTERM"), "SIGTERM")
        self.assertEqual(node.one("KillSignal"), "SIGUSR2")
        # Lame duck lasts for a minute and ten seconds of grace.
        self.assertGreater(int(node.one("TimeoutStopSec")), 70)
        compose = units.Compose(DEPLOY / "compose", "compose.yaml").services
        self.assertEqual(compose["broker"]["stop_signal"], "SIGTERM")
        nodes = units.Compose(DEPLOY / "compose", "cluster.yaml").services
        for name in ("n1", "n2", "n3"):
            self.assertEqual(nodes[name]["stop_signal"], "SIGUSR2", name)

    def test_e12_a_renewed_certificate_is_handed_over_by_reload(self):
        drop_in = UNITS / "cipher-nats-tls.conf"
        unit = units.Unit([UNITS / "cipher-nats.service", drop_in], "cipher-nats.service")
        copies, hup = unit.all("ExecReload")
        self.assertEqual(copies, unit.all("ExecStartPre")[0], "a reload copies what a start copies")
        self.assertTrue(copies.startswith("+"), "the files belong to root")
        self.assertIn("-HUP", hup)

    @unittest.skipUnless(shutil.which("systemd-analyze"), "systemd-analyze is not installed")
    def test_systemd_finds_nothing_to_complain_about(self):
        folder = self.root / "units"
        folder.mkdir()
        for unit in UNITS.glob("*.service"):
            text = unit.read_text()
            # The programs are not installed on the machine that runs tests.
            for program in ("nats-server", "cipher-registry", "cipher-chat"):
                text = text.replace(f"/usr/local/bin/{program}", "/bin/true")
            (folder / unit.name.replace("@.", "@echo.")).write_text(text)
        for name, file in (("cluster", "cipher-nats-cluster.conf"), ("tls", "cipher-nats-tls.conf")):
            place = folder / "cipher-nats.service.d"
            place.mkdir(exist_ok=True)
            shutil.copy(UNITS / file, place / f"{name}.conf")
        files = sorted(str(file) for file in folder.glob("*.service"))
        done = subprocess.run(["systemd-analyze", "verify", *files], capture_output=True, text=True, check=False)
        ours = [line for line in done.stderr.splitlines() if str(folder) in line or "cipher" in line]
        self.assertEqual(ours, [])


class Containers(Machine):
    def test_b6_the_bots_container_starts_on_empty_volumes_after_the_documented_commands(self):
        """The commands of compose.yaml, with volumes as folders and the programs of the images."""
        compose = units.Compose(DEPLOY / "compose", "compose.yaml")
        volumes = {name: self.root / "volumes" / name for name in ("broker", "registry", "owner", "echo")}
        for folder in volumes.values():
            folder.mkdir(parents=True)

        def local(text, service):
            home = str(volumes[service])
            for old, new in (
                ("broker:4222", f"127.0.0.1:{self.port}"), ("127.0.0.1:8222", f"127.0.0.1:{self.http}"),
                ("0.0.0.0", "127.0.0.1"), ("/data", home), ("/bots/echo", str(volumes["echo"])),
                ("/etc/cipher", str(self.place.path("/etc/cipher"))),
            ):
                text = text.replace(old, new)
            return text

        def environment(service, variable):
            found = {key: local(value, service) for key, value in compose.environment(service, PASSWORDS).items()}
            if "CIPHER_NATS_PORT" in found:
                found["CIPHER_NATS_PORT"] = str(self.port)
            return {**found, variable: str(volumes[service])} if variable else found

        def run(service, program, variable=None):
            argv = [str(self.place.path(f"/usr/local/bin/{program}"))]
            argv += [local(word, service) for word in compose.command(service)]
            return self.start(argv, environment(service, variable))

        broker = run("broker", "nats-server")
        self.healthy(broker)
        registry = run("registry", "cipher-registry", "CIPHER_REGISTRY_DATA_DIR")
        self.says(registry, "ready")
        early = run("echo", "cipher-chat", "CIPHER_CHAT_HOME")
        self.assertEqual(early.wait(PATIENCE), 9, self.said(early))
        self.server = environment("owner", None)
        commands = [
            line.split("owner ", 1)[1].split("(")[0].split()
            for line in (DEPLOY / "compose/compose.yaml").read_text().splitlines()
            if "docker compose run --rm owner " in line
        ]
        self.assertEqual(len(commands), 2)
        for command in commands:
            self.chat(volumes["owner"], *[local(word, "owner") for word in command], environment=self.server)
        bot = run("echo", "cipher-chat", "CIPHER_CHAT_HOME")
        self.says(bot, "echo")
        self.lobby(volumes["owner"], volumes["echo"], "default")


if __name__ == "__main__":
    unittest.main()
