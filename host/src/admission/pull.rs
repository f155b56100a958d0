//! Pulling an artifact, in a child process with a limit on memory: a registry that sends without end can exhaust the child, not the
//! gateway. The child is this same program with the hidden command `pull-plugin`; it's told what to pull on standard input and
//! writes the artifact to standard output, or a sentence to standard error.

use std::{io::Read, path::Path, process::Stdio, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures_util::StreamExt;
use oci_client::{
    Client, RegistryOperation,
    client::{Certificate, CertificateEncoding, ClientConfig, ClientProtocol},
    errors::OciDistributionError,
    manifest::{OCI_IMAGE_MEDIA_TYPE, OciDescriptor},
    secrets::RegistryAuth,
};
use serde::{Deserialize, Serialize};
use tokio::{io::AsyncWriteExt, process::Command};

use super::{
    artifact::{Artifact, LARGEST_MANIFEST, Layer},
    reference::Reference,
};
use crate::config::Environment;

/// What the child needs beside the component, in bytes: itself, TLS and a manifest.
const ROOM: u64 = 256 << 20;
/// How the program begins a sentence on standard error.
const SENTENCE: &str = "wicketgate: ";
const CONNECT: Duration = Duration::from_secs(10);
/// A sentence in the log, whatever the registry said.
const LONGEST_SAID: usize = 300;

/// Who may pull.
#[derive(Clone, Default, Deserialize, PartialEq, Serialize)]
pub enum Login {
    #[default]
    Anonymous,
    Password {
        username: String,
        password: String,
    },
    Token(String),
}

/// What the child is told.
#[derive(Deserialize, Serialize)]
pub struct Request {
    pub reference: String,
    pub login: Login,
    pub plain_http: bool,
    /// Authorities beside the system's: DER in base64.
    pub authorities: Vec<String>,
    /// The component's largest size.
    pub most_bytes: u64,
}

// === impl Request ===

impl Request {
    /// Runs the child. It's ended when this is dropped, as by a timeout.
    ///
    /// # Errors
    /// Why there's no artifact, in a sentence.
    pub async fn in_child(&self, program: &Path) -> Result<Artifact, String> {
        let not_started = |error| format!("the process that pulls can't be started: {error}");
        let memory = ROOM + 3 * self.most_bytes;
        let mut child = Command::new(program)
            .arg("pull-plugin")
            .args(["--memory-bytes", &memory.to_string()])
            .env_clear()
            .envs(Environment::of_process().of_network())
            // The allocator would take more than that in advance.
            .env("MIMALLOC_ARENA_RESERVE", "0")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(not_started)?;
        let told = serde_json::to_vec(self).map_err(|error| error.to_string())?;
        let stdin = child.stdin.take();
        let feed = async move {
            if let Some(mut stdin) = stdin {
                // A child that dies early closes the pipe; its exit status tells more than this error.
                let _ = stdin.write_all(&told).await;
            }
        };
        let ((), output) = tokio::join!(feed, child.wait_with_output());
        let output = output.map_err(not_started)?;
        if output.status.success() {
            return Artifact::from_bytes(&output.stdout).ok_or_else(|| "the process that pulls answered nothing".to_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        // Anything but its own sentence is the runtime's, and means nothing to an operator.
        Err(match said.strip_prefix(SENTENCE) {
            Some(sentence) => in_one_line(sentence),
            None => format!(
                "the process that pulls ended with {}: the registry may have sent more than its {memory} bytes of memory hold",
                output.status
            ),
        })
    }

    async fn pull(&self) -> Result<Artifact, String> {
        let reference: Reference = self.reference.parse().map_err(|error: super::reference::ReferenceError| error.to_string())?;
        let client = Client::try_from(self.client()?).map_err(|error| said(&error))?;
        let image: oci_client::Reference =
            reference.to_string().parse().map_err(|_| "it's no reference to an artifact".to_owned())?;
        let login = match &self.login {
            Login::Anonymous => RegistryAuth::Anonymous,
            Login::Password { username, password } => RegistryAuth::Basic(username.clone(), password.clone()),
            Login::Token(token) => RegistryAuth::Bearer(token.clone()),
        };
        client.auth(&image, &login, RegistryOperation::Pull).await.map_err(|error| self.refused(&error))?;
        let pulled = client.pull_manifest_raw(&image, &login, &[OCI_IMAGE_MEDIA_TYPE]).await;
        let (manifest, _) = pulled.map_err(|error| self.refused(&error))?;
        if manifest.len() > LARGEST_MANIFEST {
            return Err(format!("its manifest has {} bytes, expected at most {LARGEST_MANIFEST}", manifest.len()));
        }
        let layer = Layer::of(&manifest, &reference)?;
        let too_large = |size: &dyn std::fmt::Display| {
            format!("its component has {size} bytes, expected at most {} (plugins.component_mib)", self.most_bytes)
        };
        if layer.size > self.most_bytes {
            return Err(too_large(&layer.size));
        }
        let descriptor = OciDescriptor { digest: layer.digest, ..OciDescriptor::default() };
        let mut stream = client.pull_blob_stream(&image, &descriptor).await.map_err(|error| self.refused(&error))?.stream;
        // Not more at first than it says, which is within the bound.
        let mut component = Vec::with_capacity(usize::try_from(layer.size).unwrap_or_default());
        while let Some(part) = stream.next().await {
            component.extend_from_slice(&part.map_err(|error| in_one_line(&with_causes(&error)))?);
            if component.len() as u64 > self.most_bytes {
                return Err(too_large(&format!("more than {}", component.len() - 1)));
            }
        }
        Ok(Artifact { manifest: manifest.to_vec(), component })
    }

    fn client(&self) -> Result<ClientConfig, String> {
        let authority = |text: &String| {
            let data = STANDARD.decode(text).map_err(|_| "an authority isn't base64".to_owned())?;
            Ok(Certificate { encoding: CertificateEncoding::Der, data })
        };
        Ok(ClientConfig {
            protocol: if self.plain_http { ClientProtocol::Http } else { ClientProtocol::Https },
            extra_root_certificates: self.authorities.iter().map(authority).collect::<Result<_, String>>()?,
            connect_timeout: Some(CONNECT),
            user_agent: concat!("wicketgate/", env!("CARGO_PKG_VERSION")),
            ..ClientConfig::default()
        })
    }

    fn refused(&self, error: &OciDistributionError) -> String {
        let unauthorized = matches!(
            error,
            OciDistributionError::UnauthorizedError { .. }
                | OciDistributionError::AuthenticationFailure(_)
                | OciDistributionError::ServerError { code: 401 | 403, .. }
        );
        if !unauthorized {
            return said(error);
        }
        let who = match &self.login {
            Login::Anonymous => "nobody in particular (there's no password for it in plugins.registries or plugins.pull_secrets)",
            Login::Password { username, .. } => &format!("'{}'", in_one_line(username)),
            Login::Token(_) => "the token of plugins.pull_secrets",
        };
        format!("the registry lets {who} not pull it")
    }
}

/// The child's side.
///
/// # Errors
/// Why there's no artifact.
pub fn pull_standard_input(memory_bytes: u64) -> Result<(), String> {
    use rustix::process::{Resource, Rlimit, setrlimit};
    for (resource, value) in [(Resource::As, memory_bytes), (Resource::Core, 0)] {
        setrlimit(resource, Rlimit { current: Some(value), maximum: Some(value) })
            .map_err(|error| format!("the limit {resource:?} can't be set to {value}: {error}"))?;
    }
    let mut told = Vec::new();
    std::io::stdin().read_to_end(&mut told).map_err(|error| format!("standard input: {error}"))?;
    let request: Request = serde_json::from_slice(&told).map_err(|error| format!("standard input: {error}"))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    let artifact = runtime.block_on(request.pull())?;
    artifact.write_to(&mut std::io::stdout()).map_err(|error| format!("standard output: {error}"))
}

fn said(error: &OciDistributionError) -> String {
    in_one_line(&match error {
        OciDistributionError::ServerError { code, message, .. } => format!("the registry answered {code}: {message}"),
        OciDistributionError::RegistryError { envelope, .. } => {
            let codes: Vec<String> = envelope.errors.iter().map(|error| format!("{:?} {}", error.code, error.message)).collect();
            format!("the registry answered {}", codes.join(", "))
        }
        error => with_causes(error),
    })
}

/// reqwest's own sentence leaves out why.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !said.contains(&more) {
            said = format!("{said}: {more}");
        }
        cause = error.source();
    }
    said
}

fn in_one_line(text: &str) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    words.chars().filter(|char| !char.is_control()).take(LONGEST_SAID).collect()
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    /// Cargo sets its own for each test.
    const SCRIPT: &str = "#!/bin/sh
echo \"wicketgate: arena ${MIMALLOC_ARENA_RESERVE-unset}, cargo ${CARGO_MANIFEST_DIR-unset}\" >&2
exit 1
";

    #[tokio::test]
    async fn a_child_gets_no_variables_but_those_of_the_network() {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("program");
        fs::write(&program, SCRIPT).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let (reference, login) = ("registry.example/p".to_owned(), Login::Anonymous);
        let request = Request { reference, login, plain_http: false, authorities: Vec::new(), most_bytes: 1 };
        let said = request.in_child(&program).await.unwrap_err();
        assert_eq!(said, "arena 0, cargo unset");
    }
}
