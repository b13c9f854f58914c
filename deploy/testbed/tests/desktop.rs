//! A message is told by a notification of the desktop: the agent is built with its feature `desktop`, the bus is real, and
//! what shows notifications is a service of a few lines on it. `cargo xtask desktop` runs this.

use std::process::{Command, Stdio};

use serde_json::json;
use testbed::person::kind_of;
use testbed::{Failure, Result, Screen, Site, ensure};

/// What a desktop does: it owns the name, and takes what is to be shown.
const DESKTOP: &str = r#"
import asyncio, json
from dbus_fast.aio import MessageBus
from dbus_fast.service import ServiceInterface, method

class Desktop(ServiceInterface):
    @method()
    def Notify(self, app: "s", replaces: "u", icon: "s", summary: "s", body: "s", actions: "as", hints: "a{sv}", timeout: "i") -> "u":
        print(json.dumps({"app": app, "summary": summary, "body": body, "category": hints["category"].value}), flush=True)
        return 1

async def main():
    bus = await MessageBus().connect()
    bus.export("/org/freedesktop/Notifications", Desktop("org.freedesktop.Notifications"))
    await bus.request_name("org.freedesktop.Notifications")
    print(json.dumps({"ready": True}), flush=True)
    await bus.wait_for_disconnect()

asyncio.run(main())
"#;

#[test]
fn a_message_is_told_by_the_desktop_and_its_words_are_no_markup() -> Result {
    let variable =
        |name| std::env::var_os(name).ok_or_else(|| Failure::new("run this by: cargo xtask desktop"));
    let python = variable("DESKTOP_PYTHON")?;
    let mut desktop =
        Screen::of(Command::new(python).args(["-c", DESKTOP]).stdout(Stdio::piped()), "a desktop")?;
    desktop.until("the desktop is ready", |line| line["ready"] == true)?;
    let site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    site.group("team", &alice, &[&bob])?;
    let mut tail = bob.command(&["tail"]);
    // What a person's commands get of the environment is named; a desktop is of their session.
    let bus = variable("DBUS_SESSION_BUS_ADDRESS")?;
    tail.env("CIPHER_CHAT_NOTIFY", "desktop").env("DBUS_SESSION_BUS_ADDRESS", bus);
    tail.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut tail = Screen::of(&mut tail, "bob: tail")?;
    tail.until("bob listens", |line| kind_of(line) == Some("ready"))?;
    alice.sends("team", "<b>now</b> & here")?;
    let told = desktop.until("a notification", |line| line["app"] == "cipher-chat")?;
    let expected = json!({
        "app": "cipher-chat",
        "summary": "@alice in team",
        "body": "&lt;b&gt;now&lt;/b&gt; &amp; here",
        "category": "im.received",
    });
    ensure(told == expected, || told.to_string())?;
    tail.interrupt().map(drop)
}
