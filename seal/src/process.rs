//! What a process that holds keys asks of the system at its start.

use rustix::process::{Resource, Rlimit, setrlimit};

/// No memory of this process gets into a core dump, and no other process of the same user reads it. Best effort: a system
/// that refuses leaves things as they were.
///
/// The limit alone is not enough where dumps go to a program (systemd-coredump, apport), which gets them whatever the limit
/// says; the second call keeps the kernel from making one. Programs that this one starts inherit the limit only.
pub fn no_core_dumps() {
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_asked_is_not_dumped() {
        no_core_dumps();
        let limit = rustix::process::getrlimit(Resource::Core);
        assert_eq!((limit.current, limit.maximum), (Some(0), Some(0)));
        #[cfg(target_os = "linux")]
        assert_eq!(
            rustix::process::dumpable_behavior().unwrap(),
            rustix::process::DumpableBehavior::NotDumpable
        );
    }
}
