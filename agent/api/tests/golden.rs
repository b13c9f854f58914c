//! Golden JSON: written by `CIPHER_BLESS=1 cargo test -p cipher-api`, compared by every other run.

use std::collections::BTreeSet;
use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Compares a value with its file, or writes the file.
#[track_caller]
pub(crate) fn compare(name: &str, value: &Value) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("{name}.json"));
    let mut text = serde_json::to_string_pretty(value).unwrap();
    text.push('\n');
    #[expect(clippy::disallowed_methods, reason = "a test is told by its environment to write")]
    if std::env::var("CIPHER_BLESS").is_ok() {
        std::fs::write(&path, text).unwrap();
        return;
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        golden == text,
        "{name}.json is another than its types say: if that is wanted, CIPHER_BLESS=1 cargo test -p cipher-api\n{text}"
    );
}

/// A value in JSON, read back and written again: nothing of it is lost.
#[track_caller]
pub(crate) fn json<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(value: &T) -> Value {
    let json = serde_json::to_value(value).unwrap();
    let back: T = serde_json::from_value(json.clone()).unwrap_or_else(|error| panic!("{error}: {json}"));
    assert_eq!(back, *value, "{json}");
    json
}

/// Values of an enum that is tagged by `type`, or that is text only; fails when one of its variants is not among them.
#[track_caller]
pub(crate) fn all<T>(values: &[T]) -> Value
where
    T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug + JsonSchema,
{
    let values: Vec<Value> = values.iter().map(json).collect();
    let there: BTreeSet<&str> =
        values.iter().filter_map(|value| value.as_str().or_else(|| value["type"].as_str())).collect();
    let missing: Vec<String> =
        variants::<T>().into_iter().filter(|name| !there.contains(name.as_str())).collect();
    assert!(missing.is_empty(), "no golden JSON of {missing:?} of {}", T::schema_name());
    json!(values)
}

/// Names of all variants, as the schema has them.
fn variants<T: JsonSchema>() -> BTreeSet<String> {
    let mut generator = SchemaGenerator::default();
    let schema = T::json_schema(&mut generator);
    let mut names = BTreeSet::new();
    collect(&schema, &mut names);
    assert!(!names.is_empty(), "{} is no enum", T::schema_name());
    names
}

fn collect(schema: &Schema, names: &mut BTreeSet<String>) {
    let mut note = |value: Option<&Value>| names.extend(value.and_then(Value::as_str).map(str::to_owned));
    let mut look = |part: &Value| {
        note(part.get("const"));
        note(part.pointer("/properties/type/const"));
        for value in part.get("enum").and_then(Value::as_array).into_iter().flatten() {
            note(Some(value));
        }
    };
    look(schema.as_value());
    for key in ["oneOf", "anyOf"] {
        for part in schema.get(key).and_then(Value::as_array).into_iter().flatten() {
            look(part);
            for inner in part.get("oneOf").and_then(Value::as_array).into_iter().flatten() {
                look(inner);
            }
        }
    }
}
