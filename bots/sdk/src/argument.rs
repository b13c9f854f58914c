//! What a command can take: the type of an argument is its parser.

use std::fmt;
use std::ops::Deref;

use cipher_broker::handle::Handle;
use cipher_broker::time::Timestamp;

use crate::action::derive;
use crate::command::{Call, Misuse};
use crate::event::{Conversation, Event, EventId, Message, Sender};
use crate::typing::Typing;

/// An argument of a command.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an argument of a command",
    note = "take `Rest`, `Word`, a number, `Option` of one, `Sender`, `Context` or `Typing`, or implement `FromArguments`"
)]
pub trait FromArguments: Sized {
    /// How the usage shows it.
    const SHAPE: Shape = Shape::Required;

    /// Takes it from what is left of the line, or from the event.
    fn from_arguments(call: &mut Call<'_>) -> Result<Self, Misuse>;
}

/// How the usage shows an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Nobody writes it: it comes from the event.
    Hidden,
    /// May be left out.
    Optional,
    /// Must be there.
    Required,
}

/// The rest of the line, trimmed, never empty. A value like any other: nothing in it is ever run or expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rest(pub(crate) String);

/// One word of the line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word(pub(crate) String);

macro_rules! text {
    ($name:ident) => {
        impl $name {
            /// The text itself.
            pub fn into_text(self) -> String {
                self.0
            }
        }

        impl Deref for $name {
            type Target = str;
            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text!(Rest);
text!(Word);

impl FromArguments for Rest {
    fn from_arguments(call: &mut Call<'_>) -> Result<Self, Misuse> {
        call.rest().map(|rest| Self(rest.into())).ok_or(Misuse::Missing)
    }
}

impl FromArguments for Word {
    fn from_arguments(call: &mut Call<'_>) -> Result<Self, Misuse> {
        call.word().map(|word| Self(word.into())).ok_or(Misuse::Missing)
    }
}

impl FromArguments for String {
    fn from_arguments(call: &mut Call<'_>) -> Result<Self, Misuse> {
        Word::from_arguments(call).map(Word::into_text)
    }
}

impl FromArguments for Handle {
    fn from_arguments(call: &mut Call<'_>) -> Result<Self, Misuse> {
        let word = call.word().ok_or(Misuse::Missing)?;
        word.parse().map_err(|_| Misuse::Wrong("a handle like @ana"))
    }
}

macro_rules! integer {
    ($($name:ty: $what:literal),*) => {$(
        impl FromArguments for $name {
            fn from_arguments(call: &mut Call<'_>) -> Result<Self, Misuse> {
                let word = call.word().ok_or(Misuse::Missing)?;
                word.parse().map_err(|_| Misuse::Wrong($what))
            }
        }
    )*};
}

integer! {
    i8: "a whole number from -128 to 127",
    i16: "a whole number from -32768 to 32767",
    i32: "a whole number",
    i64: "a whole number",
    u8: "a whole number from 0 to 255",
    u16: "a whole number from 0 to 65535",
    u32: "a whole number that is not negative",
    u64: "a whole number that is not negative",
    usize: "a whole number that is not negative"
}

/// `None` if nothing is left of the line; something that is left must be right.
impl<T: FromArguments> FromArguments for Option<T> {
    const SHAPE: Shape = match T::SHAPE {
        Shape::Hidden => Shape::Hidden,
        Shape::Optional | Shape::Required => Shape::Optional,
    };

    fn from_arguments(call: &mut Call<'_>) -> Result<Self, Misuse> {
        match T::from_arguments(call) {
            Ok(value) => Ok(Some(value)),
            Err(Misuse::Missing) => Ok(None),
            Err(Misuse::Wrong(wanted)) => Err(Misuse::Wrong(wanted)),
        }
    }
}

impl FromArguments for Sender {
    const SHAPE: Shape = Shape::Hidden;

    fn from_arguments(call: &mut Call<'_>) -> Result<Self, Misuse> {
        Ok(call.message().sender.clone())
    }
}

impl FromArguments for Conversation {
    const SHAPE: Shape = Shape::Hidden;

    fn from_arguments(call: &mut Call<'_>) -> Result<Self, Misuse> {
        Ok(call.event().conversation.clone())
    }
}

impl FromArguments for Typing {
    const SHAPE: Shape = Shape::Hidden;

    fn from_arguments(call: &mut Call<'_>) -> Result<Self, Misuse> {
        Ok(call.typing().clone())
    }
}

/// Everything about the call that is not written on the line.
#[derive(Debug, Clone)]
pub struct Context {
    event: Event,
    message: Message,
}

impl FromArguments for Context {
    const SHAPE: Shape = Shape::Hidden;

    fn from_arguments(call: &mut Call<'_>) -> Result<Self, Misuse> {
        Ok(Self { event: call.event().clone(), message: call.message().clone() })
    }
}

impl Context {
    /// Where the bot was asked.
    pub fn conversation(&self) -> &Conversation {
        &self.event.conversation
    }

    /// Who asked.
    pub fn sender(&self) -> &Sender {
        &self.message.sender
    }

    /// What was written, whole.
    pub fn message(&self) -> &Message {
        &self.message
    }

    /// Which event this is.
    pub fn event_id(&self) -> &EventId {
        &self.event.id
    }

    /// When the broker stored the message: the only clock a handler has.
    pub fn now(&self) -> Timestamp {
        self.event.at
    }

    /// For effects outside (a payment, a ticket): the same event always gives the same key, so a service that takes
    /// idempotency keys does it once although the host may deliver the event again after a crash.
    pub fn idempotency_key(&self) -> String {
        let key = derive("cipher-chat/bot-effect/v2", &self.event.me.account, &self.event.id, b"");
        key.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
