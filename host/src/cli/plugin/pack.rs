//! `plugin pack`: a plugin directory as it's delivered, compressed: another directory, a ConfigMap, or values for the chart.

mod kubernetes;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use serde_json::json;

use super::{
    check::{CONFIG_MAP_BYTES, HELM_BYTES},
    workshop::{With, Workshop, read_directory},
};
use crate::{
    admission::{Files, MANIFEST, is_member, pack},
    cli::output::{self, Stop, Verdict, counted, grouped, remark, size},
};

#[derive(Args, Debug)]
pub(in crate::cli) struct Pack {
    /// A plugin directory with its plugins.yaml.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// `directory OUT`, which mustn't exist yet, or `configmap NAME`.
    #[arg(long, num_args = 2, value_names = ["FORM", "NAME"], required = true)]
    to: Vec<String>,
    /// The ConfigMap's namespace; none: that of whoever applies it.
    #[arg(long)]
    namespace: Option<String>,
    /// Write values for the chart in place of a ConfigMap.
    #[arg(long)]
    helm: bool,
    /// Where the ConfigMap or the values go; `-` is standard output [default: NAME.yaml, NAME-values.yaml].
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The memory that plugins may have [default: the gateway's, 16].
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..=4095))]
    memory_mib: Option<u64>,
    /// A gateway's configuration, for its limits, registries and authorities.
    #[arg(long, value_name = "FILE")]
    gateway_config: Option<PathBuf>,
    /// For programs.
    #[arg(long)]
    json: bool,
}

/// What the packed set becomes.
enum Form<'a> {
    Directory(&'a Path),
    ConfigMap(&'a str),
    Values(&'a str),
}

/// What was written, and what to do with it.
struct Written {
    place: String,
    most_bytes: Option<usize>,
    /// With why it's this one.
    next: Option<(String, &'static str)>,
}

// === impl Pack ===

impl Pack {
    pub(super) fn run(self) -> ExitCode {
        output::finish(self.pack())
    }

    fn pack(self) -> Result<Verdict, Stop> {
        let form = self.form()?;
        if self.json && self.output.as_deref() == Some(Path::new("-")) {
            return Err(Stop::usage("--json: found with --output -, which is standard output as well"));
        }
        let workshop =
            Workshop::open(&With { memory_mib: self.memory_mib, gateway_config: self.gateway_config.clone(), ..With::default() })?;
        let files = read_directory(&self.directory)?;
        let packed = pack::Pack::of(&files, workshop.limits().component_mib << 20).map_err(Stop::failed)?;
        // What comes out must load, exactly as the gateway would read it.
        let read_back = Files::from_members(&self.directory, &packed.members).map_err(Stop::failed)?;
        let plugins = workshop.load_directory(&read_back)?.tried.len();
        self.check_size(&form, &packed)?;
        let written = self.write(&form, &packed)?;
        if self.json {
            let members: BTreeMap<&String, usize> = packed.members.iter().map(|(name, content)| (name, content.len())).collect();
            output::say_json(&json!({
                "written": written.place,
                "plugins": plugins,
                "members": members,
                "bytes": packed.bytes(),
                "most_bytes": written.most_bytes,
                "left_out": packed.left_out.iter().map(|(name, why)| json!({"name": name, "why": why})).collect::<Vec<_>>(),
                "command": written.next.as_ref().map(|(command, _)| command),
            }))?;
        } else {
            self.say(&packed, plugins, &written);
        }
        Ok(Verdict::Good)
    }

    fn form(&self) -> Result<Form<'_>, Stop> {
        let [form, name] = self.to.as_slice() else { return Err(Stop::usage("--to: expected a form and a name")) };
        let misplaced = |key: &str| Err(Stop::usage(format!("{key}: found with --to {form}, expected it with --to configmap")));
        match form.as_str() {
            "directory" if self.helm => misplaced("--helm"),
            "directory" if self.namespace.is_some() => misplaced("--namespace"),
            "directory" if self.output.is_some() => misplaced("--output"),
            "directory" => Ok(Form::Directory(Path::new(name))),
            "configmap" if !kubernetes::is_name(name) => Err(Stop::usage(format!(
                "--to configmap: found '{name}', expected a name of a-z, 0-9, - and . within 253 characters"
            ))),
            "configmap" if self.helm && self.namespace.is_some() => {
                Err(Stop::usage("--namespace: found with --helm, which takes it of the release"))
            }
            "configmap" if self.helm => Ok(Form::Values(name)),
            "configmap" => match self.namespace.as_deref().filter(|namespace| !kubernetes::is_label(namespace)) {
                Some(found) => {
                    Err(Stop::usage(format!("--namespace: found '{found}', expected a-z, 0-9 and - within 63 characters")))
                }
                None => Ok(Form::ConfigMap(name)),
            },
            other => Err(Stop::usage(format!("--to: found '{other}', expected directory or configmap"))),
        }
    }

    fn check_size(&self, form: &Form<'_>, packed: &pack::Pack) -> Result<(), Stop> {
        let Some((most, what)) = form.bound() else { return Ok(()) };
        let bytes = packed.bytes();
        if bytes <= most {
            return Ok(());
        }
        let largest = packed.members.iter().max_by_key(|(_, content)| content.len());
        let largest =
            largest.map_or_else(String::new, |(name, content)| format!(", of which {name} has {}", grouped(content.len() as u128)));
        Err(Stop::failed(format!(
            "found {} bytes packed{largest}, expected at most {} ({what}); a registry (oci) or a volume holds more",
            grouped(bytes as u128),
            grouped(most as u128)
        )))
    }

    fn write(&self, form: &Form<'_>, packed: &pack::Pack) -> Result<Written, Stop> {
        let most_bytes = form.bound().map(|(most, _)| most);
        let (text, default, command, why) = match form {
            Form::Directory(place) => {
                write_directory(place, packed)?;
                return Ok(Written { place: place.display().to_string(), most_bytes, next: None });
            }
            Form::ConfigMap(name) => (
                kubernetes::config_map(name, self.namespace.as_deref(), &packed.members),
                format!("{name}.yaml"),
                "kubectl apply --server-side -f",
                "server-side, because a client-side apply copies all of it into an annotation, which holds 256 KiB",
            ),
            Form::Values(name) => (
                kubernetes::values(&packed.members),
                format!("{name}-values.yaml"),
                "helm upgrade --install RELEASE charts/wicketgate -f YOUR-VALUES.yaml -f",
                "the chart makes the ConfigMap of them",
            ),
        };
        let output = self.output.clone().unwrap_or_else(|| default.into());
        if output == Path::new("-") {
            output::say(&text)?;
            return Ok(Written { place: "standard output".into(), most_bytes, next: Some((format!("{command} -"), why)) });
        }
        let place = output.display().to_string();
        if is_member(&place) && is_within(&output, &self.directory) {
            let why =
                "found a place within the plugin directory, where it would be taken for a member; expected another (--output)";
            return Err(Stop::usage(format!("{place}: {why}")));
        }
        std::fs::write(&output, text).map_err(|error| Stop::failed(format!("{place}: {error}")))?;
        Ok(Written { next: Some((format!("{command} {place}"), why)), place, most_bytes })
    }

    /// On standard error, where the ConfigMap itself goes to standard output.
    fn say(&self, packed: &pack::Pack, plugins: usize, written: &Written) {
        let mut text = String::new();
        for (name, content) in &packed.members {
            text += &format!("{:>12}  {name}\n", grouped(content.len() as u128));
        }
        let bound = written.most_bytes.map_or_else(String::new, |most| format!(" of {}", size(most)));
        let members = counted(packed.members.len(), "member");
        text += &format!("{}: {} in {members}, {}{bound}\n", written.place, counted(plugins, "plugin"), size(packed.bytes()));
        packed.left_out.iter().for_each(|(name, why)| text += &format!("left out: {name}: {why}\n"));
        if let Some((command, why)) = &written.next {
            text += &format!("{command}\n  ({why})\n");
        }
        if written.place == "standard output" {
            remark(text.trim_end());
        } else {
            let _ = output::say(&text);
        }
    }
}

/// Whether a file would stand in a directory itself.
fn is_within(file: &Path, directory: &Path) -> bool {
    let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let real = |path: &Path| std::fs::canonicalize(path).ok();
    real(parent).is_some_and(|parent| real(directory) == Some(parent))
}

// === impl Form ===

impl Form<'_> {
    /// What its contents may come to, and why.
    fn bound(&self) -> Option<(usize, &'static str)> {
        match self {
            Self::Directory(_) => None,
            Self::ConfigMap(_) => Some((CONFIG_MAP_BYTES, "1 MiB is what a ConfigMap holds")),
            Self::Values(_) => Some((HELM_BYTES, "300 KiB, because a release's values and manifests share a Secret of 1 MiB")),
        }
    }
}

/// The manifest last: who watches the directory sees no set before it's whole.
fn write_directory(place: &Path, packed: &pack::Pack) -> Result<(), Stop> {
    let failed = |error: std::io::Error| Stop::failed(format!("{}: {error}", place.display()));
    std::fs::create_dir(place).map_err(failed)?;
    let (manifest, others): (Vec<_>, Vec<_>) = packed.members.iter().partition(|(name, _)| *name == MANIFEST);
    for (name, content) in others.into_iter().chain(manifest) {
        std::fs::write(place.join(name), content).map_err(failed)?;
    }
    Ok(())
}
