//! `schema`: what programs may ask, and what they are answered.

use cipher_api::ErrorKind;
use cipher_api::schema;

use crate::cli::context::Context;
use crate::cli::exit::Result;
use crate::cli::show::line::Line;

/// Print the JSON Schema of what `cipher-chat rpc` speaks
///
/// Without a method it lists all methods. `event` is the schema of what a subscription tells.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  cipher-chat schema\n  cipher-chat schema message.send | jq .params")]
pub struct Args {
    /// Name of a method, or `event`
    pub method: Option<String>,
}

/// Runs it.
pub fn run(context: &Context, args: Args) -> Result {
    match args.method.as_deref() {
        None => {
            for method in schema::methods() {
                context.ui.show(&Line::Method { method })?;
            }
            Ok(())
        }
        Some("event") => print(context, &schema::event()),
        Some(method) => match schema::of(method) {
            Some(schema) => print(context, &schema),
            None => Err(ErrorKind::NotFound
                .because(format!("there is no method '{method}'"))
                .hint(cipher_api::Hint::text("all methods are listed by: cipher-chat schema"))
                .into()),
        },
    }
}

fn print(context: &Context, schema: &impl serde::Serialize) -> Result {
    let text =
        if context.ui.json() { serde_json::to_string(schema) } else { serde_json::to_string_pretty(schema) };
    match text {
        Ok(text) => context.ui.raw(&format!("{text}\n")),
        Err(error) => {
            Err(ErrorKind::Bug.because(format!("a schema cannot be written as JSON: {error}")).into())
        }
    }
}
