//! JSON that is not what was asked for, in words for who writes JSON: serde names types of Rust.

use std::fmt;

use cipher_api::Reader;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Why JSON could not be read: which field, and what is expected there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Misread {
    /// Path of the field, as in `scope.targets[0]`; empty for the whole.
    field: String,
    why: String,
}

impl fmt::Display for Misread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.field {
            "" => f.write_str(&self.why),
            field => write!(f, "{field}: {}", self.why),
        }
    }
}

impl std::error::Error for Misread {}

/// Reads parameters, and says what is wrong with them in terms of JSON.
#[derive(Debug, Clone, Copy)]
pub(super) struct InJson;

impl Reader for InJson {
    type Error = Misread;

    fn read<T: DeserializeOwned>(&self, params: Value) -> Result<T, Misread> {
        read(params)
    }
}

/// Reads a value, and says what is wrong with it in terms of JSON.
pub(super) fn read<T: DeserializeOwned>(value: Value) -> Result<T, Misread> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let why = plain(&error.inner().to_string());
        let path = error.path().to_string();
        // A field that is missing or unknown is named by the sentence itself.
        let named = path.rsplit('.').next().is_some_and(|last| why.contains(&format!("field `{last}`")));
        let field = match &*path {
            "." | "?" => String::new(),
            _ if named => path.rsplit_once('.').map_or("", |(above, _)| above).into(),
            _ => path,
        };
        Misread { field, why }
    })
}

/// A sentence of serde in terms of JSON. One that it does not make itself stays: it is ours.
fn plain(text: &str) -> String {
    let differs = ["invalid type: ", "invalid value: "].iter().find_map(|start| text.strip_prefix(start));
    if let Some((found, expected)) = differs.and_then(|rest| rest.rsplit_once(", expected ")) {
        return format!("{} is expected, and this is {}", wanted(expected), got(found));
    }
    if let Some(field) = text.strip_prefix("missing field ") {
        return format!("the field {field} is missing");
    }
    if let Some((found, names)) =
        text.strip_prefix("unknown variant ").and_then(|rest| rest.split_once(", expected "))
    {
        return format!("{names} is expected, and this is {found}");
    }
    if text.starts_with("data did not match any variant") {
        return "it has none of the forms that are known here".into();
    }
    text.into()
}

/// What was there.
fn got(found: &str) -> String {
    match found.split_once(' ').map_or(found, |(kind, _)| kind) {
        "string" => "a string".into(),
        "character" => "a string".into(),
        "sequence" | "tuple" => "an array".into(),
        "map" | "struct" => "an object".into(),
        "integer" | "floating" | "boolean" => {
            found.split('`').nth(1).map_or_else(|| "a number".into(), ToOwned::to_owned)
        }
        "null" | "unit" | "Option" => "null".into(),
        _ => "something else".into(),
    }
}

/// What should be there.
fn wanted(expected: &str) -> String {
    match expected {
        "u8" => "a whole number from 0 to 255".into(),
        "u16" => "a whole number from 0 to 65535".into(),
        "u32" => "a whole number from 0 to 4294967295".into(),
        "u64" | "usize" => "a whole number, 0 or more".into(),
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number".into(),
        "f32" | "f64" => "a number".into(),
        "a boolean" => "true or false".into(),
        "a borrowed string" | "string" | "str" | "a character" => "a string".into(),
        "a map" => "an object".into(),
        "a sequence" => "an array".into(),
        "string or map" | "variant identifier" => "a string with one of the known names".into(),
        _ => {
            let of = |kinds: &[&str]| kinds.iter().any(|kind| expected.starts_with(kind));
            if of(&["struct ", "internally tagged enum ", "adjacently tagged enum ", "map"]) {
                "an object".into()
            } else if of(&["tuple ", "a tuple ", "an array ", "sequence"]) {
                "an array".into()
            } else if of(&["enum ", "unit "]) {
                "a string with one of the known names".into()
            } else {
                expected.into()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use cipher_api::command::{group, message};
    use cipher_api::rpc::{Call, Connection, Hello, Subscribe};

    fn why<T: DeserializeOwned + fmt::Debug>(value: Value) -> String {
        let why = read::<T>(value).unwrap_err().to_string();
        for word in
            ["struct", "enum ", "u32", "u64", "usize", "variant", "untagged", "invalid type", "Option"]
        {
            assert!(!why.contains(word), "{why}");
        }
        why
    }

    #[test]
    fn what_is_wrong_is_said_in_terms_of_json_and_with_its_field() {
        assert_eq!(why::<Call>(json!(5)), "an object is expected, and this is 5");
        assert_eq!(why::<Call>(json!({ "jsonrpc": "2.0" })), "the field `method` is missing");
        assert_eq!(
            why::<Call>(json!({ "jsonrpc": "1.0", "method": "status" })),
            "jsonrpc: `2.0` is expected, and this is `1.0`"
        );
        assert_eq!(
            why::<Call>(json!({ "jsonrpc": "2.0", "method": 7 })),
            "method: a string is expected, and this is 7"
        );
        assert_eq!(
            why::<Hello>(json!({ "version": "1" })),
            "version: a whole number from 0 to 4294967295 is expected, and this is a string"
        );
        assert_eq!(
            why::<Connection>(json!({ "wait_ms": -1 })),
            "wait_ms: a whole number, 0 or more is expected, and this is -1"
        );
        assert_eq!(
            why::<Subscribe>(json!({ "scope": "all" })),
            "scope: an object is expected, and this is a string"
        );
        assert_eq!(why::<Subscribe>(json!("all")), "an object is expected, and this is a string");
        assert_eq!(why::<message::Send>(json!({ "target": "ops" })), "the field `text` is missing");
        assert_eq!(
            why::<message::Send>(json!({ "target": ["ops"], "text": "hi" })),
            "target: a string is expected, and this is an array"
        );
        let unknown = why::<message::Edit>(json!({ "message": { "id": "a", "in": "ops" }, "text": "hi" }));
        assert!(unknown.starts_with("message: unknown field `in`"), "{unknown}");
        let role = why::<group::SetRole>(json!({ "target": "ops", "who": "bob", "role": "king" }));
        assert!(role.starts_with("role: ") && role.contains("and this is `king`"), "{role}");
    }
}
