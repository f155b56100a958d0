//! Where the outside comes in: sockets are bound, connections accepted, counted and watched. The only room with
//! `hyper::server`; it hands each request to the pipeline and knows nothing of what becomes of it.

pub mod bind;
mod connection;
pub mod http;
mod http2;
mod paced;
pub mod ports;
mod preface;
mod proxy_protocol;
pub mod tcp;
pub mod tls;

pub use self::{
    bind::{BindError, probe, share},
    http::{Drain, Sockets, serve_worker},
    tls::Tls,
};
pub use crate::request::Slots;
