//! `schema`: what the protocol takes and gives.

use cipher_api::{ErrorKind, Hint, rpc, schema};
use serde_json::{Value, json};

use crate::cli::context::Context;
use crate::cli::exit::{Failure, Result};

/// Name under which the schema of events is found.
const EVENT: &str = "event";

/// Print the JSON Schema of what rpc and the control socket take and give
///
/// For each method what it takes (params) and what it answers (result). `event` is what the notification of that name tells.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  cipher-chat schema message.send\n  cipher-chat schema event\n  cipher-chat schema > schema.json"
)]
pub struct Args {
    /// Method, or `event` [default: everything]
    method: Option<String>,
}

/// Runs it.
pub fn run(context: &Context, Args { method }: Args) -> Result {
    let found = match method.as_deref() {
        None => everything()?,
        Some(EVENT) => json!({ "event": schema::event() }),
        Some(method) => of(method)?,
    };
    let text = serde_json::to_string_pretty(&found).map_err(unwritten)?;
    context.ui.raw(&format!("{text}\n"))
}

fn everything() -> Result<Value> {
    let methods = schema::methods().map(of).collect::<Result<Vec<_>>>()?;
    Ok(json!({ "version": rpc::VERSION, "methods": methods, "event": schema::event() }))
}

fn of(method: &str) -> Result<Value> {
    let Some(found) = schema::of(method) else {
        return Err(Failure::Usage {
            message: format!("there is no method {method}"),
            hint: Some(Hint::text("list all of them with: cipher-chat schema")),
        });
    };
    serde_json::to_value(found).map_err(unwritten)
}

fn unwritten(error: serde_json::Error) -> Failure {
    ErrorKind::Bug.because_of("a schema cannot be written", error).into()
}
