//! Calls about tasks: finding sessions, and writing to their runtime.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Map, Value, json};

use super::{Client, Error, Task, task::FIELDS};

/// The server gives no more at once.
const PAGE: usize = 500;

/// Queues in all: more are not asked for.
const MOST_QUEUES: usize = 5_000;

/// Which server it is, as far as it matters for what's written back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edition {
    Open,
    Enterprise,
}

/// A change of a task's runtime.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuntimeEdit {
    pub set: BTreeMap<String, Value>,
    pub remove: BTreeSet<String>,
}

impl Client {
    /// Every running task that asks to be reachable, up to `most`. `known` are the ids of the last time: while pages are
    /// read tasks end, and those behind them move to a page that was read already. So who is missing is asked for by id.
    pub async fn sessions(&self, known: impl Iterator<Item = &str>, most: usize) -> Result<Vec<Task>, Error> {
        let mut tasks: HashMap<String, Task> = HashMap::new();
        let mut pages = 0;
        loop {
            let page = self.tasks(json!({ "page": pages, "page_size": PAGE, "order_by": ["id"] })).await?;
            let (full, before) = (page.len() >= PAGE, tasks.len());
            tasks.extend(page.into_iter().map(|task| (task.id.clone(), task)));
            pages += 1;
            if full && tasks.len() == before {
                return Err(Error::foreign("tasks.get_all_ex", "a full page of tasks that an earlier page had"));
            }
            if !full || tasks.len() >= most {
                break;
            }
        }
        if pages > 1 {
            let missing: Vec<&str> = known.filter(|id| !tasks.contains_key(*id)).collect();
            for ids in missing.chunks(PAGE) {
                let found = self.tasks(json!({ "id": ids, "page": 0, "page_size": PAGE })).await?;
                tasks.extend(found.into_iter().map(|task| (task.id.clone(), task)));
            }
        }
        let mut tasks: Vec<Task> = tasks.into_values().filter(|task| task.running).collect();
        tasks.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(tasks)
    }

    /// One page, with `query` on top of what makes a task a session. What isn't a task is left out.
    async fn tasks(&self, query: Value) -> Result<Vec<Task>, Error> {
        const CALL: &str = "tasks.get_all_ex";
        let mut body = json!({
            "status": ["in_progress"],
            "system_tags": ["external_service"],
            "only_fields": FIELDS,
            "search_hidden": true,
        });
        if let (Some(body), Value::Object(query)) = (body.as_object_mut(), query) {
            body.extend(query);
        }
        match self.call(CALL, &body).await?.get_mut("tasks").map(Value::take) {
            Some(Value::Array(tasks)) => Ok(tasks.into_iter().filter_map(Task::parse).collect()),
            _ => Err(Error::foreign(CALL, "an answer without a list `tasks`")),
        }
    }

    /// A task's whole runtime, whatever its state. None: there's no such task.
    pub async fn runtime(&self, task: &str) -> Result<Option<Map<String, Value>>, Error> {
        const CALL: &str = "tasks.get_all_ex";
        let body = json!({ "id": [task], "only_fields": ["id", "runtime"], "search_hidden": true, "page": 0, "page_size": 1 });
        let answer = self.call(CALL, &body).await?;
        let tasks =
            answer.get("tasks").and_then(Value::as_array).ok_or_else(|| Error::foreign(CALL, "an answer without `tasks`"))?;
        let found = tasks.iter().find(|found| found.get("id").and_then(Value::as_str) == Some(task));
        Ok(found.map(|found| found.get("runtime").and_then(Value::as_object).cloned().unwrap_or_default()))
    }

    /// `tasks.edit`: puts a whole runtime in place of what's there.
    pub async fn replace_runtime(&self, task: &str, runtime: &Map<String, Value>) -> Result<(), Error> {
        self.call("tasks.edit", &json!({ "task": task, "force": true, "runtime": runtime })).await.map(|_| ())
    }

    /// `tasks.edit_runtime`: changes single keys, each at once. Not all servers have it, and one release stores keys with
    /// two underscores, or one in front, under another name.
    pub async fn edit_runtime(&self, task: &str, edit: &RuntimeEdit) -> Result<(), Error> {
        let body = json!({ "task": task, "add_or_update": edit.set, "remove": edit.remove, "force": true });
        self.call("tasks.edit_runtime", &body).await.map(|_| ())
    }

    /// The names of all queues by their ids.
    pub async fn queues(&self) -> Result<HashMap<String, String>, Error> {
        const CALL: &str = "queues.get_all";
        let mut queues = HashMap::new();
        for page in 0.. {
            let body = json!({
                "only_fields": ["id", "name"], "search_hidden": true, "page": page, "page_size": PAGE, "order_by": ["id"],
            });
            let answer = self.call(CALL, &body).await?;
            let list =
                answer.get("queues").and_then(Value::as_array).ok_or_else(|| Error::foreign(CALL, "an answer without `queues`"))?;
            let text = |queue: &Value, name: &str| queue.get(name).and_then(Value::as_str).map(str::to_owned);
            let before = queues.len();
            queues.extend(list.iter().filter_map(|queue| Some((text(queue, "id")?, text(queue, "name")?))));
            if list.len() < PAGE || queues.len() >= MOST_QUEUES {
                break;
            }
            if queues.len() == before {
                return Err(Error::foreign(CALL, "a full page of queues that an earlier page had"));
            }
        }
        Ok(queues)
    }

    /// Which edition the server is: only Enterprise knows routers.
    pub async fn edition(&self) -> Result<Edition, Error> {
        match self.call("routers.get_routes", &json!({ "name": "^wicketgate$" })).await {
            Ok(_) => Ok(Edition::Enterprise),
            Err(error) if error.is_unknown_call() => Ok(Edition::Open),
            Err(error) => Err(error),
        }
    }
}
