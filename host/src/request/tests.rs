//! The whole path from a socket to a socket: a real listener, the pipeline with decisions that are fixed, and upstreams that
//! are scripted byte for byte.

mod failures;
mod http2;
mod messages;
mod multiplexed;
mod rules;
mod support;
mod transports;
mod upgrades;
