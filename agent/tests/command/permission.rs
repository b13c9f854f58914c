//! Profiles that this user may not use.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;

use crate::support::Room;

/// D05: a folder of somebody else is named with its owner and rights, and no account is given up for it.
#[test]
fn d05_a_profile_of_another_user_is_told_with_its_owner() {
    const NOBODY: u32 = 65_534;
    let room = Room::new();
    room.write(".local/share/cipher-chat/profiles/default/store.redb", "x");
    let folder = room.home().join("profiles");
    let mut command = room.command(&["read", "@bob"]);
    let barred = if chown(room.path(), Some(NOBODY), None).is_ok() {
        // Root may do anything: somebody else has to try.
        std::fs::set_permissions(&folder, Permissions::from_mode(0o700)).unwrap();
        command.uid(NOBODY).gid(NOBODY);
        "belongs to user 0 and has the rights 0700"
    } else {
        std::fs::set_permissions(&folder, Permissions::from_mode(0o0)).unwrap();
        "and has the rights 0000"
    };
    let output = command.output();
    std::fs::set_permissions(&folder, Permissions::from_mode(0o700)).unwrap();
    // Where the binary lies in a folder of root's own, nobody else can run it.
    let Ok(output) = output else { return };
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(7), "{stderr}");
    assert!(stderr.contains(barred) && stderr.contains("chown"), "{stderr}");
    assert!(!stderr.contains("register"), "{stderr}");
}
