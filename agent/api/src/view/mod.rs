//! What is shown: plain data with the field names that scripts rely on.

pub mod account;
pub mod bot;
pub mod contact;
pub mod device;
pub mod event;
pub mod evidence;
pub mod file;
pub mod grant;
pub mod group;
pub mod invite;
pub mod message;
pub mod status;
pub mod token;

pub use account::{AccountView, RequestPolicy, Trust};
pub use bot::{BotChange, BotChangeView, BotEventView, BotMemberView};
pub use contact::{ContactState, ContactView, SafetyNumberView};
pub use device::{DeviceView, HistoryPolicy, LinkCodeView, LinkCompareView};
pub use event::{EventsView, KeptEvent};
pub use evidence::{EvidenceKind, EvidenceView, ExhibitView, HeadView};
pub use file::{AttachmentView, FileView, OpenFileView, PreviewView, UploadView};
pub use grant::{GrantView, GrantedView};
pub use group::{
    DeniedView, GroupState, GroupView, MemberView, MutedView, OfferedView, RecoveringView, RecoveringWhy,
    SettingsView, WhoMay,
};
pub use invite::{JoinLinkView, JoinRequestView};
pub use message::{
    Body, DeliveredView, EditView, GroupEvent, MessageState, MessageView, MissingView, PollOptionView,
    PollView, QuotedState, QuotedView, ReactionView, ReceiptView, SenderView, WhoView,
};
pub use status::{LogLostView, StatusView};
pub use token::TokenView;
