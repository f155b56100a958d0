//! The integration tests: real clients, the real gateway as a process, fakes of what's around it. One binary.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod activity;
mod author;
mod bad_input;
mod clearml;
mod demo;
mod drain;
mod http2;
mod jupyter;
mod kubernetes;
mod languages;
mod live;
mod open;
mod plugins;
mod site;
mod slow;
mod tcp;
mod tls;
