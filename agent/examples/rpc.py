#!/usr/bin/env python3
"""Says something in a conversation and prints what is said there, over `cipher-chat rpc` (docs/API.md).

    rpc.py PROFILE TARGET TEXT      for example: rpc.py alice ops "anyone for tea?"

It ends after the first message of another member. Only the standard library is needed.
"""

import json
import subprocess
import sys


class Agent:
    """A connection: one JSON object per line, in both directions."""

    def __init__(self, profile):
        command = ["cipher-chat", "--profile", profile, "rpc"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.last = 0
        self.news = []

    def line(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"rpc ended with exit code {self.process.wait()}")
        return json.loads(line)

    def ask(self, method, **params):
        """The result of one request. News that come before it are kept."""
        self.last += 1
        call = {"jsonrpc": "2.0", "id": self.last, "method": method, "params": params}
        print(json.dumps(call), file=self.process.stdin, flush=True)
        while True:
            answer = self.line()
            if "method" in answer:
                self.news.append(answer)
            elif "error" in answer:
                # `data` has kind, hint and retryable for programs; the message is for people.
                sys.exit(f"{method}: {answer['error']['message']}")
            else:
                return answer["result"]

    def events(self):
        """Events as they happen. Types that this program does not know are for others."""
        while True:
            news = self.news.pop(0) if self.news else self.line()
            if news.get("method") == "event":
                yield news["params"]["event"]


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    profile, target, text = sys.argv[1:]
    agent = Agent(profile)
    agent.ask("hello", version=1, client="rpc.py 1")
    group = agent.ask("subscribe", scope={"type": "conversations", "targets": [target]})["groups"][0]
    sent = agent.ask("message.send", target=target, text=text)
    print(f"{sent['state']}: {sent['id']}")
    for event in agent.events():
        if event["type"] != "message" or event["group"] != group:
            continue
        if event["from"]["account_id"] != sent["from"]["account_id"]:
            print(f"@{event['from']['handle']}: {event['text']}")
            break
    agent.process.stdin.close()
    agent.process.wait()


main()
