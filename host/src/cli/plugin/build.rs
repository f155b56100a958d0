//! `plugin build`: from a project to a component, by the tools of the project's language. Where one is missing, a sentence says
//! which, and how to get it.

mod javascript;
mod project;
mod python;
mod report;
mod rust;
mod steps;
mod world;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;

use self::{
    project::{Language, Project},
    report::Report,
    steps::Steps,
};
use crate::{
    admission::pack::LEVEL,
    cli::output::{self, Stop, Verdict},
};

#[derive(Args, Debug)]
pub(in crate::cli) struct Build {
    /// The project.
    #[arg(default_value = ".", value_name = "DIR")]
    directory: PathBuf,
    /// The file to write [default: what plugins.yaml of the project names].
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Say what was built as JSON.
    #[arg(long)]
    json: bool,
}

// === impl Build ===

impl Build {
    pub(super) fn run(self) -> ExitCode {
        output::finish(self.build())
    }

    fn build(self) -> Result<Verdict, Stop> {
        let project = Project::read(&self.directory).map_err(Stop::usage)?;
        let out = self.out.unwrap_or_else(|| project.directory.join(&project.file));
        let steps = Steps::begin(self.json);
        let component = match project.language {
            Language::Rust => rust::component(&project, &steps),
            Language::JavaScript => javascript::component(&project, &steps),
            Language::Python => python::component(&project, &steps),
        };
        let component = component.map_err(Stop::failed)?;
        let packed = out.extension().is_some_and(|extension| extension == "zst");
        let written = if packed { zstd::encode_all(&*component, LEVEL).map_err(Stop::failed)? } else { component.clone() };
        write_whole(&out, &written).map_err(Stop::failed)?;
        let report = Report::of(&out, project.language, &component, &steps).map_err(Stop::failed)?;
        steps.end();
        report.print(self.json).map_err(Stop::failed)?;
        Ok(Verdict::Good)
    }
}

/// Under a hidden name first: a gateway that watches the directory never reads half a component.
fn write_whole(out: &Path, component: &[u8]) -> Result<(), String> {
    let in_words = |error: std::io::Error| format!("{}: {error}", out.display());
    let name = out.file_name().ok_or_else(|| format!("{}: expected the name of a file", out.display()))?;
    let hidden = out.with_file_name(format!(".{}.new", name.to_string_lossy()));
    std::fs::write(&hidden, component).map_err(in_words)?;
    std::fs::rename(&hidden, out).map_err(in_words)
}
