//! Wicketgate, the gateway: finds AI sessions, gives them addresses, lets in who may enter, and carries the traffic.
//!
//! Rooms stand on floors and import only from floors below: `domain`, `config`, `error`, `background`; then `plugin`, `clearml`,
//! `upstream`; then `admission`, `route`, `auth`; then `discovery`, `request`; then `listener`, `admin`; and `run` here,
//! the only place that wires them.

pub mod admin;
pub mod admission;
pub mod auth;
pub mod background;
pub mod clearml;
pub mod cli;
pub mod config;
pub mod demo;
pub mod discovery;
pub mod domain;
pub mod error;
pub mod kubernetes;
pub mod listener;
pub mod plugin;
pub mod request;
pub mod route;
pub mod run;
pub mod shutdown;
pub mod snapshot;
pub mod telemetry;
pub mod upstream;

#[cfg(test)]
mod certificates;
#[cfg(test)]
mod examples;
#[cfg(test)]
mod walls;
