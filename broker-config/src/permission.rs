//! Who may publish and subscribe to what. A second line of defence: everything is also signed or sealed.
//!
//! The server files under `server/` are rendered from here; `tests/agreement.rs` compares both.

use crate::subject::{
    EPHEMERAL, FILE, FILES_STREAM, HINT, INBOX_PREFIX, LIVE, LOG_STREAM, LOG_SUBJECT, REGISTRY, SHARDS,
    STORED, stream_of,
};

/// Subjects a login may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permissions {
    /// May publish to these.
    pub publish: Vec<String>,
    /// May subscribe to these.
    pub subscribe: Vec<String>,
}

/// An agent of a site that gives all its agents one login: every group, no JetStream management.
///
/// Reading stored messages needs `$JS.API.DIRECT.GET.<stream>`, which reads a whole stream: ciphertext and
/// subjects of all groups of the shard. It never includes creating consumers: their `deliver_subject` would
/// bypass publish permissions (nats-server issue 8274).
pub fn agent() -> Permissions {
    let mut publish = vec![
        format!("{STORED}.*.g.*.h"),
        format!("{STORED}.*.g.*.a"),
        format!("{STORED}.*.i.*"),
        format!("{STORED}.*.t.*.*.*"),
        format!("{FILE}.*.*"),
        format!("{EPHEMERAL}.*.g.*"),
        format!("{REGISTRY}.>"),
    ];
    for stream in (0..SHARDS).map(stream_of).chain([LOG_STREAM, FILES_STREAM].map(str::to_owned)) {
        publish.push(format!("$JS.API.DIRECT.GET.{stream}"));
        publish.push(format!("$JS.API.DIRECT.GET.{stream}.>"));
        // Where a log stands that does not show what was read last of it; which files are taken.
        publish.push(format!("$JS.API.STREAM.INFO.{stream}"));
    }
    let subscribe = vec![
        format!("{LIVE}.*.g.*.*"),
        format!("{LIVE}.*.i.*"),
        format!("{LIVE}.{LOG_SUBJECT}"),
        format!("{EPHEMERAL}.*.g.*"),
        format!("{HINT}.*"),
        format!("{INBOX_PREFIX}.>"),
    ];
    Permissions { publish, subscribe }
}

/// The registry: answers requests, owns the streams. Its operator asks it like anybody (`inspect`).
pub fn registry() -> Permissions {
    Permissions {
        publish: vec![
            "$JS.API.>".into(),
            format!("{INBOX_PREFIX}.>"),
            "$SRV.>".into(),
            "_INBOX.>".into(),
            format!("{REGISTRY}.>"),
            LOG_SUBJECT.into(),
            format!("{HINT}.*"),
            // Copies of one registry among themselves.
            "registry.>".into(),
        ],
        subscribe: vec![
            "registry.>".into(),
            format!("{REGISTRY}.>"),
            "$SRV.>".into(),
            format!("{INBOX_PREFIX}.>"),
            "_INBOX.>".into(),
        ],
    }
}

/// Whether a subscribed or published subject is covered by a permission pattern (NATS wildcards).
pub fn covers(pattern: &str, subject: &str) -> bool {
    let mut have = subject.split('.');
    for want in pattern.split('.') {
        match (want, have.next()) {
            (">", Some(_)) => return true,
            ("*", Some(token)) if token != ">" => {}
            (exact, Some(token)) if exact == token => {}
            _ => return false,
        }
    }
    have.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{DeviceId, FileId, GroupId};
    use crate::subject::{Route, Source, file_chunk, registry as registry_subject};

    fn allowed(list: &[String], subject: &str) -> bool {
        list.iter().any(|pattern| covers(pattern, subject))
    }

    #[test]
    fn an_agent_may_do_what_it_must() {
        let agent = agent();
        let (group, device) = (GroupId::from_bytes([1; 16]), DeviceId::from_bytes([2; 16]));
        for route in [
            Route::Application(group),
            Route::Handshake(group),
            Route::Inbox(device),
            Route::Tree { group, epoch: 1, piece: 0 },
        ] {
            assert!(allowed(&agent.publish, &route.to_string()));
            assert!(allowed(&agent.publish, &format!("$JS.API.DIRECT.GET.{}", route.stream())));
        }
        assert!(allowed(&agent.publish, &registry_subject("resolve")));
        let chunk = file_chunk(&FileId::from_bytes([3; 16]), 7);
        for subject in
            [chunk.clone(), format!("$JS.API.DIRECT.GET.FILES.{chunk}"), "$JS.API.STREAM.INFO.FILES".into()]
        {
            assert!(allowed(&agent.publish, &subject), "{subject}");
        }
        for source in [Source::Group(group), Source::Inbox(device), Source::Log] {
            assert!(allowed(&agent.subscribe, &source.doorbell()));
        }
    }

    /// N02, N03, N05: what an agent may not do is absent from its lists.
    #[test]
    fn n05_an_agent_manages_nothing() {
        let agent = agent();
        for subject in [
            "$JS.API.STREAM.PURGE.CHAT-0",
            "$JS.API.STREAM.DELETE.CHAT-0",
            "$JS.API.STREAM.UPDATE.CHAT-0",
            "$JS.API.STREAM.MSG.DELETE.CHAT-0",
            "$JS.API.STREAM.PURGE.FILES",
            "$JS.API.STREAM.MSG.DELETE.FILES",
            "$JS.API.CONSUMER.CREATE.FILES",
            "$JS.API.CONSUMER.CREATE.CHAT-0",
            "$JS.API.CONSUMER.DURABLE.CREATE.CHAT-0.x",
            "$SYS.REQ.SERVER.PING",
            "live.0.g.x.a",
            "log.statements",
            "live.log.statements",
            "hint.x",
            "registry.write",
        ] {
            assert!(!allowed(&agent.publish, subject), "{subject}");
        }
        for subject in [">", "chat.>", "live.>", "reg.v1.>", "$SYS.>", "$JS.>", "_INBOX.>"] {
            assert!(!allowed(&agent.subscribe, subject), "{subject}");
        }
    }
}
