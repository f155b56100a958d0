//! Builds the image in a storage of its own, which goes with it, and takes it apart.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Weak},
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;
use tokio::{process::Command, sync::Mutex};
use wicketgate_tests::{
    gateway,
    programs::{need, output},
};

pub const BASE: &str = "localhost/wicketgate-base";
pub const REVISION: &str = "0123456789abcdef";
const IMAGE: &str = "localhost/wicketgate";

/// Unpacking and packing some 50 MB, on a slow machine.
const PATIENCE: Duration = Duration::from_secs(300);

/// A built image. Tests that run at a time share one.
pub struct Image {
    directory: TempDir,
}

/// One layer, as a registry would give it out.
#[derive(Debug)]
pub struct Layer {
    pub compressed_bytes: u64,
    pub entries: Vec<Entry>,
}

/// One file, directory or link of a layer.
#[derive(Debug)]
pub struct Entry {
    /// As `ls -l` shows it.
    pub mode: String,
    /// By numbers.
    pub owner: String,
    pub bytes: u64,
    /// Without a slash in front; of a link, with where it leads.
    pub path: String,
}

// === impl Image ===

impl Image {
    /// The image, built unless another test has it just now.
    ///
    /// # Panics
    /// When something that builds it is missing or fails.
    pub async fn built() -> Arc<Self> {
        static SHARED: Mutex<Weak<Image>> = Mutex::const_new(Weak::new());
        let mut shared = SHARED.lock().await;
        if let Some(image) = shared.upgrade() {
            return image;
        }
        let image = Arc::new(Self::build().await);
        *shared = Arc::downgrade(&image);
        image
    }

    async fn build() -> Self {
        assert!(is_root(), "this test needs root, to make files that are root's and to mount what it built");
        let image = Self { directory: tempfile::tempdir().unwrap() };
        let root = image.path("base");
        let mut base = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("cluster/image/base"));
        base.arg(&root);
        output(base, PATIENCE).await;
        let container = image.buildah(&["from", "scratch"]).await;
        image.buildah(&["add", "--quiet", &container, root.to_str().unwrap(), "/"]).await;
        image.buildah(&["commit", "--quiet", &container, BASE]).await;

        // In place of what the stage `build` would have left, with what that strips.
        let program = image.path("build/out/wicketgate");
        fs::create_dir_all(program.parent().unwrap()).unwrap();
        let mut strip = Command::new(need("strip", "binutils"));
        strip.arg("--strip-debug").arg("-o").arg(&program).arg(gateway::binary());
        output(strip, PATIENCE).await;
        let arguments = [
            "build".to_owned(),
            "--pull-never".to_owned(),
            format!("--build-context=build={}", image.path("build").display()),
            format!("--build-arg=BASE={BASE}"),
            format!("--build-arg=REVISION={REVISION}"),
            format!("--tag={IMAGE}"),
            checkout().display().to_string(),
        ];
        image.buildah(&arguments.each_ref().map(String::as_str)).await;
        image
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Its one storage needs no support of the kernel's: every layer is a copy.
    async fn buildah(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(need("buildah", "buildah"));
        command.args(["--storage-driver", "vfs", "--root"]).arg(self.path("storage"));
        command.arg("--runroot").arg(self.path("run")).args(arguments).env("BUILDAH_ISOLATION", "chroot");
        output(command, PATIENCE).await.trim().to_owned()
    }

    /// How it's run: user, entry point, labels and the rest.
    pub async fn config(&self) -> Value {
        let said = self.buildah(&["inspect", "--type", "image", IMAGE]).await;
        serde_json::from_str::<Value>(&said).unwrap_or_else(|error| panic!("{error}: {said}"))["OCIv1"]["config"].take()
    }

    /// Its files in one directory, which goes with the image.
    pub async fn mounted(&self) -> PathBuf {
        let container = self.buildah(&["from", "--pull-never", IMAGE]).await;
        self.buildah(&["mount", &container]).await.into()
    }

    /// All of it in one file, under this name.
    pub async fn archive(&self, name: &str) -> PathBuf {
        self.pack(IMAGE, name).await
    }

    /// The same for an image of one program, which needs nothing beside it.
    pub async fn archive_of(&self, program: &Path, name: &str) -> PathBuf {
        let container = self.buildah(&["from", "scratch"]).await;
        self.buildah(&["add", "--quiet", &container, program.to_str().unwrap(), "/program"]).await;
        self.buildah(&["config", "--entrypoint", "[\"/program\"]", &container]).await;
        self.buildah(&["commit", "--quiet", "--rm", &container, name]).await;
        self.pack(name, name).await
    }

    async fn pack(&self, image: &str, name: &str) -> PathBuf {
        let archive = self.path(&name.replace(['/', ':'], "-")).with_extension("tar");
        self.buildah(&["push", "--quiet", image, &format!("oci-archive:{}:{name}", archive.display())]).await;
        archive
    }

    /// As it would be pushed to a registry.
    pub async fn layers(&self) -> Vec<Layer> {
        let pushed = self.directory.path().join("pushed");
        let blob = |digest: &Value| pushed.join("blobs").join(digest.as_str().unwrap().replace(':', "/"));
        let json = |path: PathBuf| serde_json::from_slice::<Value>(&fs::read(path).unwrap()).unwrap();
        self.buildah(&["push", "--quiet", IMAGE, &format!("oci:{}:pushed", pushed.display())]).await;
        let manifest = json(blob(&json(pushed.join("index.json"))["manifests"][0]["digest"]));
        let mut layers = Vec::new();
        for layer in manifest["layers"].as_array().unwrap() {
            let mut tar = Command::new(need("tar", "tar"));
            tar.args(["--list", "--verbose", "--numeric-owner", "--full-time", "--file"]).arg(blob(&layer["digest"]));
            let entries = output(tar, PATIENCE).await.lines().map(Entry::parse).collect();
            layers.push(Layer { compressed_bytes: layer["size"].as_u64().unwrap(), entries });
        }
        layers
    }
}

// === impl Entry ===

impl Entry {
    /// `-rwxr-xr-x 0/0 36251000 2026-11-21 11:23:24 usr/bin/wicketgate`
    fn parse(line: &str) -> Self {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [mode, owner, bytes, _, _, path @ ..] = words.as_slice() else { panic!("no entry of an archive: {line:?}") };
        Self { mode: (*mode).into(), owner: (*owner).into(), bytes: bytes.parse().unwrap(), path: path.join(" ") }
    }

    /// A second name of a file is one as well.
    pub fn is_file(&self) -> bool {
        self.mode.starts_with(['-', 'h'])
    }

    pub fn is_executable(&self) -> bool {
        self.mode.contains(['x', 's'])
    }

    pub fn is_library(&self) -> bool {
        self.path.contains("/lib/") && self.path.contains(".so") || self.path.starts_with("lib/") && self.path.contains(".so")
    }

    /// Whoever runs it becomes another user or group.
    pub fn gives_rights(&self) -> bool {
        self.mode[1..].contains(['s', 'S'])
    }
}

fn checkout() -> PathBuf {
    fs::canonicalize(Path::new(env!("CARGO_MANIFEST_DIR")).join("..")).unwrap()
}

pub fn is_root() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().any(|line| line.strip_prefix("Uid:").is_some_and(|ids| ids.split_whitespace().nth(1) == Some("0")))
}
