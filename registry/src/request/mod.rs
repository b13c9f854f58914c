//! A request, from its bytes to the bytes of the signed reply.
//!
//! [`route`] knows what answers: a registry of its own or a [`replica`], which may hand the request on to another one.
//! Both end in [`answer`]: it decodes, asks `caller.rs` who signed, lets one operation of `op/` decide and has `write/`
//! write. On the way a request is refused for its [`nonce`], its [`quota`] or for want of [`admission`]; the same bytes
//! that come twice at once are one request ([`in_flight`]).

mod admission;
pub(crate) mod answer;
mod in_flight;
mod nonce;
mod quota;
pub(crate) mod replica;
pub(crate) mod route;
