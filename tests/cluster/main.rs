//! The tests on a real cluster (etcd, kube-apiserver, kubelet, Helm, and the gateway as a process), and those that make and start
//! the image. One binary, one server for all of it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod agent;
mod chart;
mod image;
mod kubelet;
mod outage;
mod plugins;
mod pods;
mod replicas;
mod rights;
mod scale;
mod server;
mod stage;
mod volume;
mod wires;
