//! What the fake server stores.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde_json::{Map, Value, json};

/// The server's `secure.auth.token_secret`. Not base64 of anything, as real ones aren't.
pub const SECRET: &str = "9Tw20RbhJ1bLBiHEOWXvhplKGUbTgLzAtwFN2oLQvWwS0uRpD5";

/// How this server differs from the usual one.
#[derive(Clone, Debug)]
pub struct Options {
    /// `routers.get_routes` and `auth.redirect_to_router` are there.
    pub enterprise: bool,
    /// `tasks.edit_runtime` is there (API 2.34).
    pub edit_runtime: bool,
    /// It stores keys with two underscores, or one in front, under another name.
    pub escapes_keys: bool,
    /// What tokens say of the edition; with `basic` the SDK refuses to ask for endpoints.
    pub feature_set: &'static str,
}

/// How all calls fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    Status500,
    /// Half an answer.
    Garbage,
    /// A whole answer of another shape.
    Nonsense,
    /// Each page is the first.
    FirstPage,
    Hang,
    Close,
}

/// A call that was made.
#[derive(Clone, Debug)]
pub struct Call {
    pub name: String,
    /// Empty when nobody was recognised.
    pub user: String,
    pub arguments: Map<String, Value>,
}

#[derive(Clone, Debug)]
pub struct User {
    pub id: String,
    pub role: String,
    pub company: String,
}

type Interference = (String, String, Box<dyn FnOnce(&mut Map<String, Value>) + Send>);

pub(crate) struct State {
    pub options: Options,
    pub users: BTreeMap<String, User>,
    pub tasks: BTreeMap<String, Map<String, Value>>,
    pub projects: BTreeMap<String, String>,
    pub queues: BTreeMap<String, String>,
    pub revoked: HashSet<String>,
    pub calls: Vec<Call>,
    pub failure: Option<Failure>,
    pub interference: Option<Interference>,
    pub next_id: u64,
    pub random: std::hash::RandomState,
}

impl Default for Options {
    fn default() -> Self {
        Self { enterprise: false, edit_runtime: true, escapes_keys: false, feature_set: "advanced" }
    }
}

impl State {
    pub fn new(options: Options) -> Self {
        let people = [("root", "admin", "acme"), ("alice", "user", "acme"), ("bob", "user", "acme"), ("eve", "user", "other")];
        let users =
            people.map(|(id, role, company)| (id.to_owned(), User { id: id.into(), role: role.into(), company: company.into() }));
        Self {
            options,
            users: users.into(),
            tasks: BTreeMap::new(),
            projects: BTreeMap::new(),
            queues: BTreeMap::new(),
            revoked: HashSet::new(),
            calls: Vec::new(),
            failure: None,
            interference: None,
            next_id: 1,
            random: std::hash::RandomState::new(),
        }
    }

    pub fn new_id(&mut self) -> String {
        self.next_id += 1;
        // Different in each process and each server: clients keep files under these names.
        let random = std::hash::BuildHasher::hash_one(&self.random, self.next_id);
        format!("{random:016x}{:016x}", self.next_id)
    }

    pub fn add_task(&mut self, id: &str, user: &str, system_tags: Value, runtime: Value) {
        let company = self.users[user].company.clone();
        let task = json!({
            "id": id, "name": format!("task {id}"), "user": user, "company": company, "project": "p1", "status": "in_progress",
            "system_tags": system_tags, "tags": [], "runtime": runtime, "execution": {}, "hyperparams": {},
            "created": "2026-07-01T10:00:00.000000+00:00", "last_update": "2026-07-01T10:00:00.000000+00:00", "type": "training",
        });
        let Value::Object(task) = task else { return };
        self.tasks.insert(id.into(), task);
    }

    /// All keys of tags, for `projects.get_all` and the like that filter nothing.
    pub fn set_of(value: Option<&Value>) -> BTreeSet<&str> {
        value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
    }
}
