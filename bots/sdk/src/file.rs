//! A file that a bot gives.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Most bytes that a program may give within one line; what is larger lies in a file whose path it gives.
pub const INLINE_BYTES: usize = 1024 * 1024;

/// A file that a bot gives, in an [`Action::Attach`](crate::action::Action::Attach) or with a
/// [`Reply`](crate::answer::Reply).
///
/// The host reads it when the event was handled, seals it and brings it to the broker. If the event is handled again
/// after a crash, the same name and bytes are the same file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum File {
    /// Where it lies on the host's machine. It must not change before the message was sent.
    Path {
        /// The place; from the folder in which the host was started, unless it is absolute.
        path: PathBuf,
        /// What receivers are told; the last part of the path otherwise.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
    },
    /// The bytes themselves.
    Bytes {
        /// What receivers are told.
        name: String,
        /// The content; in JSON as base64 with padding.
        #[serde(with = "base64")]
        data: Vec<u8>,
    },
}

impl File {
    /// One that lies on the host's machine.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self::Path { path: path.into(), name: None }
    }

    /// Bytes that the bot made.
    pub fn new(name: impl Into<String>, data: impl Into<Vec<u8>>) -> Self {
        Self::Bytes { name: name.into(), data: data.into() }
    }

    /// What receivers are told that it is called.
    pub fn name(&self) -> String {
        match self {
            Self::Bytes { name, .. } | Self::Path { name: Some(name), .. } => name.clone(),
            Self::Path { path, name: None } => {
                path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
            }
        }
    }
}

mod base64 {
    use cipher_broker::base64;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&base64::encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        base64::decode(&text).ok_or_else(|| D::Error::custom("data is no base64 with padding"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_a_path_or_a_name_and_bytes() {
        for (file, json) in [
            (File::at("/tmp/a.pdf"), r#"{"path":"/tmp/a.pdf"}"#),
            (File::new("b.txt", "hi"), r#"{"name":"b.txt","data":"aGk="}"#),
            (
                File::Path { path: "/tmp/x".into(), name: Some("c.csv".into()) },
                r#"{"path":"/tmp/x","name":"c.csv"}"#,
            ),
        ] {
            assert_eq!(serde_json::to_string(&file).unwrap(), json);
            assert_eq!(serde_json::from_str::<File>(json).unwrap(), file);
        }
        assert_eq!(File::at("/tmp/a.pdf").name(), "a.pdf");
        for junk in ["{}", r#"{"name":"b"}"#, r#"{"name":"b","data":"?"}"#, r#"{"data":"aGk="}"#] {
            assert!(serde_json::from_str::<File>(junk).is_err(), "{junk}");
        }
    }
}
