//! `probe`: asks for a page and says by the exit code whether all is well. For images without a shell, where health checks have
//! no other program to do it.

use std::{error::Error, io::Write, process::ExitCode, time::Duration};

use super::run::finish;

const TIMEOUT: Duration = Duration::from_secs(5);
/// Of the answer that is repeated when it isn't good.
const SHOWN: usize = 2000;

pub(super) fn probe(url: &str) -> ExitCode {
    finish(ask(url))
}

fn ask(url: &str) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let client = reqwest::Client::builder().timeout(TIMEOUT).no_proxy().build()?;
        let answer = client.get(url).send().await.map_err(|error| format!("{url}: {}", innermost(&error)))?;
        let status = answer.status();
        let text: String = answer.text().await.unwrap_or_default().chars().take(SHOWN).collect();
        if !status.is_success() {
            return Err(format!("{url}: {status}: {}", text.trim_end()).into());
        }
        // When nobody reads it, the exit code says it.
        let _ = writeln!(std::io::stdout().lock(), "{}", text.trim_end());
        Ok(())
    })
}

/// The cause says what happened; what is around it only where.
fn innermost(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
