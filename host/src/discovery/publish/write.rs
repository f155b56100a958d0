//! How a change gets into a task's runtime without harm to what others write there.
//!
//! `tasks.edit_runtime` changes single keys at once. Older servers don't have it, and one release stores `endpoint__api` under
//! another name: so it's tried out once with the first such key. What's left goes through `tasks.edit`, which replaces the whole
//! map: read, edit, read again, and once more if somebody wrote in between. A write of somebody else's between our read and
//! our edit is lost nevertheless; the server offers nothing against that.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::clearml::{Client, Error, RuntimeEdit};

/// Writes, and remembers what the server can do.
pub struct Writer {
    client: Arc<Client>,
    atomic: Atomic,
}

/// What `tasks.edit_runtime` is good for on this server.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Atomic {
    Unknown,
    AllKeys,
    /// Keys with two underscores, or one in front, get lost.
    PlainKeys,
    /// The call isn't there.
    Nothing,
}

/// Of a `tasks.edit` that somebody else's write undid.
const ATTEMPTS: usize = 3;

// === impl Writer ===

impl Writer {
    pub fn new(client: Arc<Client>) -> Self {
        Self { client, atomic: Atomic::Unknown }
    }

    pub async fn write(&mut self, task: &str, edit: &RuntimeEdit) -> Result<(), Error> {
        match self.atomic {
            Atomic::AllKeys => self.client.edit_runtime(task, edit).await,
            Atomic::Nothing => self.replace(task, edit).await,
            Atomic::PlainKeys => self.write_split(task, edit).await,
            Atomic::Unknown => match self.client.edit_runtime(task, edit).await {
                Err(error) if error.is_unknown_call() => {
                    self.atomic = Atomic::Nothing;
                    self.replace(task, edit).await
                }
                Err(error) => Err(error),
                Ok(()) => self.probe(task, edit).await,
            },
        }
    }

    /// Looks whether what was written came back under its own name.
    async fn probe(&mut self, task: &str, edit: &RuntimeEdit) -> Result<(), Error> {
        if edit.set.keys().all(|key| is_plain(key)) && edit.remove.iter().all(|key| is_plain(key)) {
            return Ok(());
        }
        let Some(runtime) = self.client.runtime(task).await? else { return Ok(()) };
        if holds(&runtime, edit) {
            self.atomic = Atomic::AllKeys;
            return Ok(());
        }
        tracing::warn!("tasks.edit_runtime of this server stores some keys under other names: tasks.edit is used for those");
        self.atomic = Atomic::PlainKeys;
        // Under whatever names they are stored: removed by the same call, they are found again.
        let stray = edit.set.keys().filter(|key| !is_plain(key)).cloned().collect();
        self.client.edit_runtime(task, &RuntimeEdit { remove: stray, ..RuntimeEdit::default() }).await?;
        self.write_split(task, edit).await
    }

    async fn write_split(&self, task: &str, edit: &RuntimeEdit) -> Result<(), Error> {
        let part = |plain: bool| RuntimeEdit {
            set: edit
                .set
                .iter()
                .filter(|(key, _)| is_plain(key) == plain)
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect(),
            remove: edit.remove.iter().filter(|key| is_plain(key) == plain).cloned().collect(),
        };
        let (plain, other) = (part(true), part(false));
        if plain != RuntimeEdit::default() {
            self.client.edit_runtime(task, &plain).await?;
        }
        if other == RuntimeEdit::default() {
            return Ok(());
        }
        self.replace(task, &other).await
    }

    async fn replace(&self, task: &str, edit: &RuntimeEdit) -> Result<(), Error> {
        for _ in 0..ATTEMPTS {
            let Some(mut runtime) = self.client.runtime(task).await? else { return Ok(()) };
            if holds(&runtime, edit) {
                return Ok(());
            }
            apply(&mut runtime, edit);
            self.client.replace_runtime(task, &runtime).await?;
        }
        // The last one is seen with the next look.
        Ok(())
    }
}

/// A key that every server stores as it is.
fn is_plain(key: &str) -> bool {
    !key.starts_with('_') && !key.contains("__")
}

fn holds(runtime: &Map<String, Value>, edit: &RuntimeEdit) -> bool {
    edit.set.iter().all(|(key, value)| runtime.get(key) == Some(value)) && !edit.remove.iter().any(|key| runtime.contains_key(key))
}

fn apply(runtime: &mut Map<String, Value>, edit: &RuntimeEdit) {
    for key in &edit.remove {
        runtime.remove(key);
    }
    for (key, value) in &edit.set {
        runtime.insert(key.clone(), value.clone());
    }
}
