//! Who pulls from a registry: what the configuration says of it, or what a file as Docker's `config.json` says, which is the form of
//! Kubernetes' pull secrets.

use std::{
    collections::BTreeMap,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;

use super::{pull::Login, reference::Reference};
use crate::config::Registry;

/// Kubernetes' own bound for a secret.
const LARGEST_FILE: u64 = 1 << 20;

#[derive(Deserialize)]
struct DockerConfig {
    #[serde(default)]
    auths: BTreeMap<String, Auth>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
struct Auth {
    username: Option<String>,
    password: Option<String>,
    /// Both, with a colon between them, in base64.
    auth: Option<String>,
    identitytoken: Option<String>,
    registrytoken: Option<String>,
}

/// The login for a reference.
///
/// # Errors
/// A file that can't be read, or that has an entry of a kind that isn't understood.
pub fn login(reference: &Reference, registries: &BTreeMap<String, Registry>, files: &[PathBuf]) -> Result<Login, String> {
    if let Some((username, password)) =
        registries.get(&reference.registry).and_then(|it| it.username.as_ref().zip(it.password.as_ref()))
    {
        return Ok(Login::Password { username: username.clone(), password: password.reveal().to_owned() });
    }
    for (at, path) in files.iter().enumerate() {
        let wrong = |why: &str| format!("plugins.pull_secrets[{at}]: {}: {why}", path.display());
        let text = read(path).map_err(|error| wrong(&format!("it can't be read: {error}")))?;
        // serde's error quotes what it found, which may be a password.
        let config: DockerConfig =
            serde_json::from_slice(&text).map_err(|_| wrong("found something else, expected JSON with auths"))?;
        let matching = config.auths.into_iter().filter_map(|(place, auth)| Some((precision(&place, reference)?, place, auth)));
        if let Some((_, place, auth)) = matching.max_by_key(|(precision, ..)| *precision) {
            return auth.login().map_err(|why| wrong(&format!("auths.{}: {why}", place.escape_debug())));
        }
    }
    Ok(Login::Anonymous)
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(path)?.take(LARGEST_FILE).read_to_end(&mut text)?;
    Ok(text)
}

/// How much of a reference a key of `auths` names; None when it names another. As Kubernetes reads them: a scheme and the API's
/// version don't count, a path covers what is below it, and `*` stands for one label of a host.
fn precision(place: &str, reference: &Reference) -> Option<usize> {
    let bare = place.strip_prefix("https://").or(place.strip_prefix("http://")).unwrap_or(place);
    let (host, path) = bare.split_once('/').unwrap_or((bare, ""));
    let path = path.trim_matches('/');
    let path = if ["v1", "v2"].contains(&path) { "" } else { path };
    let of_hub = |host: &str| ["docker.io", "index.docker.io", "registry-1.docker.io"].contains(&host);
    let same = |host: &str| {
        let (ours, theirs): (Vec<&str>, Vec<&str>) = (host.split('.').collect(), reference.registry.split('.').collect());
        ours.len() == theirs.len()
            && ours.iter().zip(&theirs).all(|(ours, theirs)| *ours == "*" || ours.eq_ignore_ascii_case(theirs))
    };
    let below = path.is_empty()
        || reference.repository == path
        || reference.repository.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'));
    let hosts = same(host) || (of_hub(host) && of_hub(&reference.registry));
    (hosts && below).then(|| 2 * path.len() + usize::from(!host.contains('*')))
}

// === impl Auth ===

impl Auth {
    fn login(self) -> Result<Login, &'static str> {
        if let Some(token) = self.registrytoken.filter(|token| !token.is_empty()) {
            return Ok(Login::Token(token));
        }
        if let (Some(username), Some(password)) = (self.username, self.password) {
            return Ok(Login::Password { username, password });
        }
        if let Some(auth) = self.auth.filter(|auth| !auth.is_empty()) {
            let decoded = STANDARD.decode(auth.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            let pair = decoded.as_deref().and_then(|text| text.split_once(':'));
            let (username, password) = pair.ok_or("found an auth of another form, expected username:password in base64")?;
            // Registries with identity tokens put a fixed name and no password here.
            if !password.is_empty() {
                return Ok(Login::Password { username: username.to_owned(), password: password.to_owned() });
            }
        }
        Err(if self.identitytoken.is_some() {
            "found an identitytoken alone, expected username and password"
        } else {
            "found no password"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    fn reference(place: &str) -> Reference {
        format!("{place}@sha256:{}", "0".repeat(64)).parse().unwrap()
    }

    fn asked(auths: &str, place: &str) -> Result<Login, String> {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join(".dockerconfigjson");
        std::fs::write(&file, format!("{{\"auths\": {auths}}}")).unwrap();
        login(&reference(place), &BTreeMap::new(), &[file])
    }

    fn ada(password: &str) -> Login {
        Login::Password { username: "ada".into(), password: password.into() }
    }

    #[test]
    fn a_pull_secret_names_registries_as_kubernetes_reads_it() {
        // ada:p:w
        let auths = r#"{"registry.example": {"auth": "YWRhOnA6dw=="}, "https://two.example:5000/v2/": {"username": "ada", "password": "2"},
            "registry.example/team": {"username": "ada", "password": "team"}, "*.wide.example": {"username": "ada", "password": "wide"},
            "https://index.docker.io/v1/": {"username": "ada", "password": "hub"}}"#;
        for (place, expected) in [
            ("registry.example/policy", ada("p:w")),
            ("registry.example/team/policy", ada("team")),
            ("registry.example/teams/policy", ada("p:w")),
            ("two.example:5000/policy", ada("2")),
            ("two.example/policy", Login::Anonymous),
            ("a.wide.example/policy", ada("wide")),
            ("a.b.wide.example/policy", Login::Anonymous),
            ("docker.io/team/policy", ada("hub")),
            ("registry.example.evil.example/policy", Login::Anonymous),
        ] {
            assert!(asked(auths, place).unwrap() == expected, "{place}");
        }
    }

    #[test]
    fn what_the_configuration_says_of_a_registry_comes_first() {
        let registry = Registry { username: Some("ada".into()), password: Some(Secret::new("first")), plain_http: false };
        let registries = BTreeMap::from([("registry.example".to_owned(), registry)]);
        let nowhere = [PathBuf::from("/nowhere")];
        assert!(login(&reference("registry.example/p"), &registries, &nowhere).unwrap() == ada("first"));
        let why = login(&reference("other.example/p"), &registries, &nowhere).err().unwrap();
        assert!(why.starts_with("plugins.pull_secrets[0]: /nowhere: it can't be read: "), "{why}");
    }

    #[test]
    fn an_entry_that_isnt_understood_is_said_without_its_secret() {
        for (auths, expected) in [
            (
                r#"{"registry.example": {"auth": "c2VjcmV0"}}"#,
                "found an auth of another form, expected username:password in base64",
            ),
            (
                r#"{"registry.example": {"auth": "MDA6", "identitytoken": "secret"}}"#,
                "found an identitytoken alone, expected username and password",
            ),
            (r#"{"registry.example": {}}"#, "found no password"),
            (r#""secret""#, "found something else, expected JSON with auths"),
        ] {
            let why = asked(auths, "registry.example/p").err().unwrap();
            assert!(why.starts_with("plugins.pull_secrets[0]: ") && why.ends_with(expected), "{why}");
            assert!(!why.contains("secret\""), "{why}");
        }
    }
}
