"""Reads systemd units and compose files as far as ours go, and runs what they say: literally, on a machine without
systemd or containers. For the tests of the shipped files (../tests) and the drill; it refuses whatever it does not know,
so that a new line in a unit is noticed here and not on somebody's machine.
"""

import json
import re
import shlex

# What a unit may say that changes what is run, and that a run without systemd plays.
PLAYED = {
    "Environment", "EnvironmentFile", "ExecStart", "ExecStartPre", "ExecReload", "KillSignal", "TimeoutStopSec",
    "Restart", "RestartSec", "RestartPreventExitStatus", "DynamicUser", "StateDirectory", "StateDirectoryMode",
    "RuntimeDirectory", "RuntimeDirectoryMode", "LoadCredential", "UMask",
}
# What only narrows what the process may do; systemd-analyze knows these.
NARROWING = {
    "NoNewPrivileges", "CapabilityBoundingSet", "AmbientCapabilities", "ProtectSystem", "ProtectHome", "PrivateTmp",
    "PrivateDevices", "PrivateUsers", "ProtectClock", "ProtectControlGroups", "ProtectHostname", "ProtectKernelLogs",
    "ProtectKernelModules", "ProtectKernelTunables", "ProtectProc", "ProcSubset", "RestrictAddressFamilies",
    "RestrictNamespaces", "RestrictRealtime", "RestrictSUIDSGID", "LockPersonality", "MemoryDenyWriteExecute",
    "RemoveIPC", "SystemCallArchitectures", "SystemCallFilter", "SystemCallErrorNumber", "KeyringMode", "LimitCORE",
    "LimitNOFILE",
}
LISTS = {"Environment", "EnvironmentFile", "ExecStartPre", "ExecReload", "LoadCredential"}


class Problem(Exception):
    """One sentence about a file."""


class Unit:
    """A service, with its drop-ins, for one instance."""

    def __init__(self, files, name):
        self.name = name
        match = re.fullmatch(r"[a-z-]+@([a-z0-9_-]+)\.service", name)
        self.instance = match[1] if match else None
        self.values = {}
        for file in files:
            self._read(file)

    def _read(self, file):
        section = None
        for number, line in enumerate(file.read_text().splitlines(), 1):
            line = line.strip()
            if not line or line[0] in "#;":
                continue
            if line[0] == "[":
                section = line
                continue
            key, equals, value = line.partition("=")
            if section != "[Service]":
                continue
            if not equals or key not in PLAYED | NARROWING:
                raise Problem(f"{file}:{number}: {key} is not known to the tests of the units")
            if key in LISTS:
                old = self.values.get(key, [])
                self.values[key] = [*old, value] if value else []
            else:
                self.values[key] = value

    def one(self, key, default=None):
        return self.values.get(key, default)

    def all(self, key):
        return self.values.get(key, [])

    def specifiers(self, text, credentials="/run/credentials"):
        """%i, %d and %%; any other is refused."""
        known = {"%": "%", "d": str(credentials)}
        if self.instance:
            known["i"] = self.instance

        def expand(match):
            if match[1] not in known:
                raise Problem(f"{self.name}: the specifier %{match[1]} is not known to the tests of the units")
            return known[match[1]]

        return re.sub(r"%(.)", expand, text)

    def environment(self, place):
        """As systemd hands it over: what files say wins. `place` gives the path at which a path is found."""
        found = {}
        for line in self.all("Environment"):
            for word in shlex.split(self.specifiers(line, place.credentials(self))):
                key, _, value = word.partition("=")
                found[key] = value
        for path in self.all("EnvironmentFile"):
            for line in place.path(self.specifiers(path)).read_text().splitlines():
                line = line.strip()
                if line and line[0] not in "#;":
                    key, _, value = line.partition("=")
                    found[key] = "".join(shlex.split(value, comments=False)) if value[:1] in "'\"" else value
        return found

    def command(self, line, environment, place, more=None):
        """Words of a command line, and whether it runs as root: `+` in front."""
        full = line.startswith("+")
        words = shlex.split(self.specifiers(line.lstrip("+"), place.credentials(self)))
        known = {**environment, **(more or {})}

        def expand(word):
            return re.sub(r"\$\{?([A-Z_]+)\}?", lambda match: known.get(match[1], ""), word)

        # A script gets its words as they are.
        script = words[:1] == ["/bin/sh"]
        return [word if script else expand(word) for word in words], full


class Compose:
    """A compose file, read line by line: a mapping of services, two blanks a level, and lists on one line."""

    def __init__(self, folder, file):
        self.services = {}
        lines = self._lines((folder / file).read_text())
        parts = self._lines((folder / "parts.yaml").read_text()) if file != "parts.yaml" else {}
        for name, service in lines.items():
            self.services[name] = self._whole(service, lines, parts)

    def _lines(self, text):
        services, service, key, inside = {}, None, None, False
        for line in text.splitlines():
            if not line.strip() or line.strip().startswith("#"):
                continue
            indent = len(line) - len(line.lstrip())
            text = line.strip()
            if indent == 0:
                inside = text == "services:"
            elif inside and indent == 2:
                service = services.setdefault(text.rstrip(":"), {})
            elif inside and indent == 4:
                key, _, value = text.partition(":")
                service[key] = value.strip() or {}
            elif inside and indent == 6:
                name, _, value = text.partition(":")
                last = name
                service[key][name] = value.strip()
            elif inside and indent == 8:
                service[key][last] = (service[key][last].removeprefix(">-") + " " + text).strip()
        return services

    def _whole(self, service, here, parts):
        extends = service.get("extends")
        if not extends:
            return service
        base = re.search(r"service: ([a-z]+)", extends)[1]
        source = parts if "file:" in extends else here
        whole = dict(self._whole(source[base], source, parts))
        for key, value in service.items():
            if isinstance(value, dict):
                whole[key] = {**whole.get(key, {}), **value}
            elif key != "extends":
                whole[key] = value
        return whole

    def command(self, name):
        return json.loads(self.services[name]["command"])

    def environment(self, name, variables):
        """Values as the container sees them; a variable that is not there is refused."""
        def value(text):
            text = re.sub(r"^(['\"])(.*)\1$", r"\2", text)
            return re.sub(r"\$\{([A-Z_]+)(?::\?[^}]*)?\}", lambda match: variables[match[1]], text)

        return {key: value(text) for key, text in self.services[name].get("environment", {}).items()}
