//! What a registry holds for a plugin: a manifest, whose digest names it, and the component, whose digest the manifest names. Both
//! are kept together as they came, so that what is read is held against the name each time, wherever it was in between.

use std::io::{self, Write};

use serde::Deserialize;

use super::{directory::hex, reference::Reference};

/// A manifest is a list of a few digests.
pub const LARGEST_MANIFEST: usize = 1 << 20;

/// A manifest with its component, neither looked into yet.
#[derive(Debug, PartialEq)]
pub struct Artifact {
    pub manifest: Vec<u8>,
    pub component: Vec<u8>,
}

/// Where a component stands in a registry.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// `sha256:` and 64 hexadecimal digits.
    pub digest: String,
    pub size: u64,
}

/// As far as it's looked at: `oras`, `wkg` and `cosign` all write an OCI image manifest with the component as a layer.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    #[serde(default)]
    layers: Vec<WrittenLayer>,
    /// Of an index.
    manifests: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenLayer {
    media_type: String,
    digest: String,
    size: u64,
}

// === impl Artifact ===

impl Artifact {
    /// The component, if all of it is what the reference names.
    ///
    /// # Errors
    /// What isn't.
    pub fn into_component(self, reference: &Reference) -> Result<Vec<u8>, String> {
        let layer = Layer::of(&self.manifest, reference)?;
        let found = sha256(&self.component);
        if layer.digest != format!("sha256:{found}") {
            return Err(format!("the component's digest is sha256:{found}, expected {}, as its manifest says", layer.digest));
        }
        Ok(self.component)
    }

    /// As one file or stream: the manifest's length in eight bytes, the manifest, the component.
    ///
    /// # Errors
    /// The writer's.
    pub fn write_to(&self, out: &mut impl Write) -> io::Result<()> {
        let length = (self.manifest.len() as u64).to_be_bytes();
        [&length[..], &self.manifest, &self.component].into_iter().try_for_each(|part| out.write_all(part))
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        // A vector takes everything.
        let _ = self.write_to(&mut bytes);
        bytes
    }

    /// None when it isn't one.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (length, rest) = bytes.split_first_chunk::<8>()?;
        let length = usize::try_from(u64::from_be_bytes(*length)).ok().filter(|length| *length <= LARGEST_MANIFEST)?;
        let (manifest, component) = rest.split_at_checked(length)?;
        Some(Self { manifest: manifest.to_vec(), component: component.to_vec() })
    }
}

// === impl Layer ===

impl Layer {
    /// The one layer that is a component, of the manifest that the reference names.
    ///
    /// # Errors
    /// It's another manifest, or not exactly one layer is a component.
    pub fn of(manifest: &[u8], reference: &Reference) -> Result<Self, String> {
        let found = sha256(manifest);
        if found != reference.sha256 {
            return Err(format!("the registry's answer has the digest sha256:{found}, expected sha256:{}", reference.sha256));
        }
        let written: Written = serde_json::from_slice(manifest).map_err(|_| "it's no OCI image manifest".to_owned())?;
        if written.manifests.is_some() {
            return Err("it's an index of several manifests, expected the digest of one".into());
        }
        let (wasm, others): (Vec<_>, Vec<_>) = written.layers.into_iter().partition(|layer| is_wasm(&layer.media_type));
        let [layer] = <[WrittenLayer; 1]>::try_from(wasm).map_err(|wasm| {
            let others: Vec<_> = others.iter().take(8).map(|layer| layer.media_type.chars().take(80).collect::<String>()).collect();
            format!("found {} layers of type application/wasm, expected one (others are {others:?})", wasm.len())
        })?;
        let digits = layer.digest.strip_prefix("sha256:").unwrap_or_default();
        if digits.len() != 64 || !digits.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)) {
            return Err("its layer has a digest of another kind, expected sha256".into());
        }
        Ok(Self { digest: layer.digest, size: layer.size })
    }
}

/// `application/wasm`, as today's tools write it, or one of its forerunners, as `application/vnd.wasm.content.layer.v1+wasm`.
fn is_wasm(media_type: &str) -> bool {
    let kind = media_type.split(';').next().unwrap_or_default().trim();
    kind == "application/wasm" || (kind.starts_with("application/vnd.") && kind.contains("wasm") && kind.contains("layer"))
}

fn sha256(bytes: &[u8]) -> String {
    hex(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes).as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference(manifest: &[u8]) -> Reference {
        format!("registry.example/policy@sha256:{}", sha256(manifest)).parse().unwrap()
    }

    fn manifest(layers: &[(&str, &[u8])]) -> Vec<u8> {
        let layers: Vec<_> = layers
            .iter()
            .map(|(kind, content)| {
                serde_json::json!({"mediaType": kind, "digest": format!("sha256:{}", sha256(content)), "size": content.len()})
            })
            .collect();
        serde_json::json!({"schemaVersion": 2, "config": {"mediaType": "application/vnd.wasm.config.v0+json"}, "layers": layers})
            .to_string()
            .into_bytes()
    }

    #[test]
    fn each_tools_layout_is_understood() {
        for kind in
            ["application/wasm", "application/vnd.wasm.content.layer.v1+wasm", "application/vnd.module.wasm.content.layer.v1+wasm"]
        {
            let artifact =
                Artifact { manifest: manifest(&[("text/markdown", b"read me"), (kind, b"\0asm")]), component: b"\0asm".to_vec() };
            let reference = reference(&artifact.manifest);
            let again = Artifact::from_bytes(&artifact.to_bytes()).unwrap();
            assert_eq!(again, artifact);
            assert_eq!(again.into_component(&reference).unwrap(), b"\0asm");
        }
    }

    #[test]
    fn what_isnt_as_it_was_named_is_refused() {
        let good = manifest(&[("application/wasm", b"\0asm")]);
        let refused = |manifest: &[u8], component: &[u8], reference: &Reference| {
            Artifact { manifest: manifest.to_vec(), component: component.to_vec() }.into_component(reference).unwrap_err()
        };
        let why = refused(&good, b"another", &reference(&good));
        assert!(why.starts_with("the component's digest is sha256:") && why.ends_with(", as its manifest says"), "{why}");
        let why = refused(&manifest(&[("application/wasm", b"x")]), b"x", &reference(&good));
        assert!(why.starts_with("the registry's answer has the digest sha256:"), "{why}");
        for (other, expected) in [
            (&b"<html>"[..], "it's no OCI image manifest"),
            (br#"{"manifests": []}"#, "it's an index of several manifests, expected the digest of one"),
            (
                &manifest(&[("application/vnd.oci.image.layer.v1.tar", b"x")]),
                "found 0 layers of type application/wasm, expected one (others are [\"application/vnd.oci.image.layer.v1.tar\"])",
            ),
            (
                &manifest(&[("application/wasm", b"x"), ("application/wasm", b"y")]),
                "found 2 layers of type application/wasm, expected one (others are [])",
            ),
            (
                br#"{"layers": [{"mediaType": "application/wasm", "digest": "sha256:../x", "size": 1}]}"#,
                "its layer has a digest of another kind, expected sha256",
            ),
        ] {
            assert_eq!(refused(other, b"x", &reference(other)), expected);
        }
    }

    #[test]
    fn a_damaged_file_is_none() {
        let artifact = Artifact { manifest: b"{}".to_vec(), component: b"\0asm".to_vec() };
        let bytes = artifact.to_bytes();
        assert_eq!(Artifact::from_bytes(&bytes[..7]), None);
        assert_eq!(Artifact::from_bytes(&bytes[..9]), None);
        assert_eq!(Artifact::from_bytes(&u64::MAX.to_be_bytes()), None);
        assert_eq!(Artifact::from_bytes(&(LARGEST_MANIFEST as u64 + 1).to_be_bytes()), None);
    }
}
