//! The registry replicated on JetStream, on a real cluster of three: the same suite as on one file
//! (`registry/tests/runner`), and what happens when replicas die, stop and come back.

#[path = "../../../registry/tests/runner/account.rs"]
mod account;
#[path = "../../../registry/tests/runner/admission.rs"]
mod admission;
#[path = "replicated/crowd.rs"]
mod crowd;
#[path = "replicated/fault.rs"]
mod fault;
#[path = "../../../registry/tests/runner/head.rs"]
mod head;
#[path = "../../../registry/tests/runner/key_package.rs"]
mod key_package;
#[path = "../../../registry/tests/runner/operator.rs"]
mod operator;
#[path = "replicated/place.rs"]
mod place;
#[path = "../../../registry/tests/runner/profile.rs"]
mod profile;
#[path = "../../../registry/tests/runner/request.rs"]
mod request;
#[path = "../../../registry/tests/runner/statement.rs"]
mod statement;
#[path = "replicated/suite.rs"]
mod suite;
#[path = "../../../registry/tests/runner/support.rs"]
mod support;
