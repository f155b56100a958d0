//! A task as far as the gateway looks at it. Everything in it but the ids may have been written by its owner.

use serde_json::{Map, Value};

/// One task. It has no `Debug`: its runtime holds passwords and tokens of the session.
#[derive(Clone)]
pub struct Task {
    pub id: String,
    pub name: Option<String>,
    pub user: Option<String>,
    pub company: Option<String>,
    pub project: Option<String>,
    pub queue: Option<String>,
    /// The user property `k8s-queue`, which the Kubernetes agent sets: by then `execution.queue` is the agent's own.
    pub kubernetes_queue: Option<String>,
    pub tags: Vec<String>,
    /// RFC 3339, as the server writes it. The server sets it, the owner can't.
    pub created: Option<String>,
    pub running: bool,
    pub runtime: Map<String, Value>,
}

/// What is asked for of each task.
pub const FIELDS: &[&str] = &[
    "id",
    "name",
    "user",
    "company",
    "project",
    "tags",
    "created",
    "runtime",
    "status",
    "execution.queue",
    "hyperparams.properties",
];

impl Task {
    /// None when it isn't a task at all.
    pub fn parse(value: Value) -> Option<Self> {
        let Value::Object(mut task) = value else { return None };
        let text = |name: &str| task.get(name).and_then(Value::as_str).map(str::to_owned);
        let reference = |value: Option<&Value>| match value? {
            Value::String(id) => Some(id.clone()),
            // Some calls answer the object in place of its id.
            Value::Object(object) => object.get("id")?.as_str().map(str::to_owned),
            _ => None,
        };
        let tags = task.get("tags").and_then(Value::as_array);
        let properties = task.get("hyperparams").and_then(|params| params.get("properties"));
        Some(Self {
            id: text("id")?,
            name: text("name"),
            user: reference(task.get("user")),
            company: reference(task.get("company")),
            project: reference(task.get("project")),
            queue: reference(task.get("execution").and_then(|execution| execution.get("queue"))),
            kubernetes_queue: properties
                .and_then(|properties| properties.get("k8s-queue")?.get("value")?.as_str())
                .map(str::to_owned),
            tags: tags.into_iter().flatten().filter_map(|tag| tag.as_str().map(str::to_owned)).collect(),
            created: text("created"),
            running: task.get("status").and_then(Value::as_str) == Some("in_progress"),
            runtime: match task.remove("runtime") {
                Some(Value::Object(runtime)) => runtime,
                _ => Map::new(),
            },
        })
    }
}
