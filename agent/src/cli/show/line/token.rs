//! Lines of tokens.

use cipher_broker::id::GroupId;
use cipher_broker::time::Timestamp;
use serde::Serialize;

use crate::token::grant::Grant;

/// A token as scripts see it.
#[derive(Debug, Serialize)]
pub struct TokenLine<'a> {
    /// What it is called.
    pub name: &'a str,
    /// The token itself, right after it was made and never again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<&'a str>,
    /// Whether it is good still.
    pub state: TokenState,
    /// The conversations it is for; null is all.
    pub groups: Option<Vec<TokenGroup<'a>>>,
    /// The methods it is for.
    pub methods: &'a [String],
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339.
    pub expires_at: String,
}

/// Whether a token is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TokenState {
    /// It is.
    Valid,
    /// Its time is over.
    Expired,
}

/// A conversation of a token.
#[derive(Debug, Serialize)]
pub struct TokenGroup<'a> {
    /// Which.
    pub id: GroupId,
    /// What it is called now; what it was called when the token was made if that cannot be known.
    pub name: &'a str,
}

impl<'a> TokenLine<'a> {
    /// Of a grant, and of the token if it was made a moment ago.
    pub fn new(grant: &'a Grant, token: Option<&'a str>, now: Timestamp) -> Self {
        let groups = grant.groups.as_deref();
        let group = |groups: &'a [_]| {
            let group =
                |group: &'a crate::token::grant::Granted| TokenGroup { id: group.id, name: &group.name };
            groups.iter().map(group).collect()
        };
        Self {
            name: &grant.name,
            token,
            state: if grant.expired(now) { TokenState::Expired } else { TokenState::Valid },
            groups: groups.map(group),
            methods: &grant.methods,
            created_at: grant.created_at.to_string(),
            expires_at: grant.expires_at.to_string(),
        }
    }
}
