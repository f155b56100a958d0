//! The tests that need more than a machine usually has: the servers of a cluster, and what makes and runs images. One binary.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod image;
