//! Certificates that sign themselves, made by OpenSSL for one test.

use std::path::PathBuf;

use tempfile::TempDir;
use tokio::process::Command;

use crate::{
    PATIENCE,
    programs::{need, output},
};

/// For a domain, all names right below it, and 127.0.0.1. Gone when it's dropped.
pub struct Certificate {
    pub certificate: PathBuf,
    pub key: PathBuf,
    _directory: TempDir,
}

impl Certificate {
    pub async fn of(domain: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (certificate, key) = (directory.path().join("certificate.pem"), directory.path().join("key.pem"));
        let mut openssl = Command::new(need("openssl", "openssl"));
        openssl
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
            .args(["-subj", &format!("/CN={domain}"), "-addext"])
            .arg(format!("subjectAltName=DNS:{domain},DNS:*.{domain},IP:127.0.0.1"))
            .arg("-out")
            .arg(&certificate)
            .arg("-keyout")
            .arg(&key);
        output(openssl, PATIENCE).await;
        Self { certificate, key, _directory: directory }
    }
}
