//! How times and bytes look in JSON: RFC 3339 and base64. In a format that is not for people they stay numbers and bytes.

use std::borrow::Cow;

use cipher_broker::base64;
use cipher_broker::certificate::Owner;
use cipher_broker::id::AccountId;
use cipher_broker::sign::Signed;
use cipher_broker::time::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A [`Timestamp`] as text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Time(Timestamp);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(&self.0)
        } else {
            self.0.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return Timestamp::deserialize(deserializer).map(Self);
        }
        let text = Cow::<'_, str>::deserialize(deserializer)?;
        Timestamp::parse(&text)
            .map(Self)
            .ok_or_else(|| D::Error::custom("not a time in UTC as RFC 3339 writes it"))
    }
}

impl JsonSchema for Time {
    fn schema_name() -> Cow<'static, str> {
        "Time".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "format": "date-time",
            "description": "A time in UTC with milliseconds, RFC 3339.",
        })
    }
}

/// For `#[serde(with)]` on a [`Timestamp`].
pub(crate) mod time {
    use super::{Deserialize, Deserializer, Serialize, Serializer, Time, Timestamp};

    pub(crate) fn serialize<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        Time(*time).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        Time::deserialize(deserializer).map(|Time(time)| time)
    }
}

/// For `#[serde(with)]` on a time that may be absent.
pub(crate) mod maybe_time {
    use super::{Deserialize, Deserializer, Serialize, Serializer, Time, Timestamp};

    pub(crate) fn serialize<S: Serializer>(
        time: &Option<Timestamp>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        time.map(Time).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Timestamp>, D::Error> {
        Ok(Option::<Time>::deserialize(deserializer)?.map(|Time(time)| time))
    }
}

/// Bytes as text.
#[derive(Debug, Clone)]
pub(crate) struct Base64<'a>(Cow<'a, [u8]>);

impl Serialize for Base64<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&base64::encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Base64<'_> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'_, str>::deserialize(deserializer)?;
        let bytes =
            base64::decode(&text).ok_or_else(|| D::Error::custom("not bytes in base64 with padding"))?;
        Ok(Self(bytes.into()))
    }
}

impl JsonSchema for Base64<'_> {
    fn schema_name() -> Cow<'static, str> {
        "Base64".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "contentEncoding": "base64",
            "description": "Bytes in base64 with padding, RFC 4648 section 4.",
        })
    }
}

/// For `#[serde(with)]` on bytes, of any length or of one.
pub(crate) mod bytes {
    use serde::de::Error as _;

    use super::{Base64, Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(
        bytes: impl AsRef<[u8]>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        Base64(bytes.as_ref().into()).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D, T>(deserializer: D) -> Result<T, D::Error>
    where
        D: Deserializer<'de>,
        T: TryFrom<Vec<u8>>,
    {
        let Base64(bytes) = Base64::deserialize(deserializer)?;
        T::try_from(bytes.into_owned()).map_err(|_| D::Error::custom("not that many bytes"))
    }
}

/// For `#[serde(with)]` on bytes that may be absent.
pub(crate) mod maybe_bytes {
    use super::{Base64, Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(
        bytes: &Option<Vec<u8>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        bytes.as_deref().map(|bytes| Base64(bytes.into())).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Vec<u8>>, D::Error> {
        Ok(Option::<Base64<'_>>::deserialize(deserializer)?.map(|Base64(bytes)| bytes.into_owned()))
    }
}

/// The owner of a bot.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(remote = "Owner")]
#[schemars(rename = "Owner")]
pub(crate) struct OwnerText {
    /// Account of the owner.
    #[serde(rename = "account_id")]
    account: AccountId,
    /// Its account key, 32 bytes; hashes to the account id.
    #[serde(with = "bytes")]
    #[schemars(with = "Base64<'_>")]
    account_key: [u8; 32],
}

/// Encoded bytes and the signature over exactly these bytes.
#[derive(Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Signed")]
pub(crate) struct SignedText {
    /// The encoded statement.
    #[serde(with = "bytes")]
    #[schemars(with = "Base64<'_>")]
    body: Vec<u8>,
    /// The Ed25519 signature, 64 bytes.
    #[serde(with = "bytes")]
    #[schemars(with = "Base64<'_>")]
    signature: Vec<u8>,
}

/// For `#[serde(with)]` on signed bytes that may be absent.
pub(crate) mod maybe_signed {
    use super::{Deserialize, Deserializer, Serialize, Serializer, Signed, SignedText};

    pub(crate) fn serialize<S: Serializer>(
        signed: &Option<Signed>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let text = signed.clone().map(|Signed { body, signature }| SignedText { body, signature });
        text.serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Signed>, D::Error> {
        let text = Option::<SignedText>::deserialize(deserializer)?;
        Ok(text.map(|SignedText { body, signature }| Signed { body, signature }))
    }
}
