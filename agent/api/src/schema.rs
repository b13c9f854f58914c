//! JSON Schema of the methods, made from the types.

use schemars::transform::transform_subschemas;
use schemars::{Schema, SchemaGenerator, generate::SchemaSettings};
use serde::Serialize;
use serde_json::Value;

use crate::event::Event;
use crate::request::{self, Request};
use crate::rpc;

/// The schemas of one method.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MethodSchema {
    /// Name of the method.
    pub method: &'static str,
    /// What it takes.
    pub params: Schema,
    /// What answers it.
    pub result: Schema,
}

impl MethodSchema {
    /// The schemas of a request.
    pub(crate) fn of<R: Request>() -> Self {
        Self {
            method: R::METHOD,
            params: plain(
                SchemaSettings::draft2020_12().for_deserialize().into_generator().into_root_schema_for::<R>(),
            ),
            result: plain(replies().into_root_schema_for::<R::Reply>()),
        }
    }
}

/// The schemas of a method, of the core or of the protocol; `None` when there is no such method.
pub fn of(method: &str) -> Option<MethodSchema> {
    request::schema(method).or_else(|| rpc::schema(method))
}

/// Names of all methods: first those of the protocol, then those of the core.
pub fn methods() -> impl Iterator<Item = &'static str> {
    rpc::METHODS.iter().chain(request::METHODS).copied()
}

/// The schema of what the notification `event` tells.
pub fn event() -> Schema {
    plain(replies().into_root_schema_for::<Event>())
}

fn replies() -> SchemaGenerator {
    SchemaSettings::draft2020_12().for_serialize().into_generator()
}

/// Descriptions without what only rustdoc understands: links, and lines that end where the source ends them.
fn plain(mut schema: Schema) -> Schema {
    fn describe(schema: &mut Schema) {
        if let Some(Value::String(text)) = schema.get_mut("description") {
            let paragraphs: Vec<String> = text.split("\n\n").map(|lines| lines.replace('\n', " ")).collect();
            *text = paragraphs.join("\n\n").replace("[`", "`").replace("`]", "`");
        }
        transform_subschemas(&mut describe, schema);
    }
    describe(&mut schema);
    schema
}
