//! Lines of the ways into a group.

use cipher_api::view::{JoinLinkView, JoinRequestView};

use crate::cli::show::line::Line;

impl<'a> Line<'a> {
    /// A link to a group.
    pub fn join_link(link: &'a JoinLinkView) -> Self {
        Self::JoinLink {
            id: &link.id,
            group: link.group,
            link: &link.link,
            expires: link.expires.to_string(),
            uses: link.uses,
            approval: link.approval,
            by: &link.by,
        }
    }

    /// Somebody wants to join.
    pub fn join_request(request: &'a JoinRequestView) -> Self {
        Self::JoinRequest {
            group: request.group,
            name: &request.group_name,
            handle: &request.handle,
            account_id: request.account_id,
            at: request.at.to_string(),
        }
    }
}
