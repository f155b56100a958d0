//! The commands that ask a running gateway, at its admin listener: `status`, `explain`, `decisions`.

mod ask;
mod explain;
mod generic;
mod status;
mod time;

use std::process::ExitCode;

use clap::Args;

use self::ask::Ask;
use super::{
    output::{self, Paint, Stop, Verdict},
    plugin::KindWord,
};
use crate::domain::record::{Record, RecordId};

/// Which gateway, and how it lets somebody ask.
#[derive(Args, Clone, Debug)]
struct Listener {
    /// The gateway's admin listener [default: port 9090 of this machine, or that of WICKETGATE_ADMIN__LISTEN].
    #[arg(long, value_name = "URL")]
    admin: Option<String>,
    /// Its token. Better as the variable WICKETGATE_ADMIN__TOKEN: a command line is seen by everybody on the machine.
    #[arg(long)]
    token: Option<String>,
}

#[derive(Args, Debug)]
pub(super) struct Status {
    #[command(flatten)]
    listener: Listener,
    /// For programs: what /plugins shows, with the readiness.
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
pub(super) struct Explain {
    /// A decision's id, of the access log or of the header x-wicketgate-decision.
    id: RecordId,
    #[command(flatten)]
    listener: Listener,
    /// For programs: the record as it is.
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
pub(super) struct Decisions {
    /// Those of one kind of plugin.
    #[arg(long)]
    kind: Option<KindWord>,
    /// The last so many of each kind.
    #[arg(long, value_name = "N")]
    last: Option<usize>,
    #[command(flatten)]
    listener: Listener,
}

// === impl Status ===

impl Status {
    pub fn run(self) -> ExitCode {
        output::finish(self.status())
    }

    /// Good when the gateway is ready.
    fn status(self) -> Result<Verdict, Stop> {
        let ask = Ask::new(&self.listener)?;
        let readiness = ask.readiness()?;
        let plugins = ask.json("/plugins")?;
        if self.json {
            let missing = readiness.as_ref().err().cloned().unwrap_or_default();
            output::say_json(&serde_json::json!({"ready": readiness.is_ok(), "missing": missing, "plugins": plugins}))?;
        } else {
            output::say(&status::in_words(&ask.place(""), &readiness, &plugins, Paint::of_stdout()))?;
        }
        Ok(if readiness.is_ok() { Verdict::Good } else { Verdict::Bad })
    }
}

// === impl Explain ===

impl Explain {
    pub fn run(self) -> ExitCode {
        output::finish(self.explain())
    }

    fn explain(self) -> Result<Verdict, Stop> {
        let found = Ask::new(&self.listener)?.json(&format!("/decisions/{}", self.id))?;
        if self.json {
            output::say_json(&found)?;
            return Ok(Verdict::Good);
        }
        let record: Record = serde_json::from_value(found)
            .map_err(|error| Stop::failed(format!("the gateway's record can't be read: {error}; --json shows it as it is")))?;
        output::say(&explain::in_words(&record, Paint::of_stdout()))?;
        Ok(Verdict::Good)
    }
}

// === impl Decisions ===

impl Decisions {
    pub fn run(self) -> ExitCode {
        output::finish(self.decisions())
    }

    fn decisions(self) -> Result<Verdict, Stop> {
        let kind = self.kind.map(|kind| format!("kind={}", KindWord::of(kind.into())));
        let asked: Vec<String> = kind.into_iter().chain(self.last.map(|last| format!("last={last}"))).collect();
        let query = if asked.is_empty() { String::new() } else { format!("?{}", asked.join("&")) };
        output::say(&Ask::new(&self.listener)?.text(&format!("/decisions{query}"))?)?;
        Ok(Verdict::Good)
    }
}
