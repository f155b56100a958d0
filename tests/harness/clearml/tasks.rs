//! The fake server's calls about tasks.

use serde_json::{Map, Value, json};

use super::{
    Data, Refusal,
    calls::page,
    state::{State, User},
};

impl State {
    pub fn task_call(&mut self, call: &str, user: &User, arguments: &Map<String, Value>) -> Data {
        match call {
            "tasks.get_all_ex" | "tasks.get_all" => Ok(self.list(user, arguments, call == "tasks.get_all_ex")),
            "tasks.create" => Ok(self.create(user, arguments)),
            "tasks.get_by_id" => {
                let task = self.task(user, arguments)?.clone();
                Ok(json!({ "task": task }))
            }
            "tasks.edit" | "tasks.update" => self.edit(user, arguments),
            "tasks.edit_runtime" if self.options.edit_runtime => self.edit_runtime(user, arguments),
            "tasks.started" => self.status(user, arguments, "in_progress"),
            "tasks.stopped" | "tasks.stop" => self.status(user, arguments, "stopped"),
            "tasks.completed" => self.status(user, arguments, "completed"),
            "tasks.failed" => self.status(user, arguments, "failed"),
            "tasks.reset" => self.status(user, arguments, "created"),
            "tasks.ping"
            | "tasks.set_requirements"
            | "tasks.edit_hyper_params"
            | "tasks.edit_configuration"
            | "tasks.add_or_update_artifacts"
            | "tasks.add_or_update_model"
            | "tasks.delete_configuration"
            | "tasks.delete_hyper_params" => {
                self.task(user, arguments)?;
                Ok(json!({ "updated": 1 }))
            }
            _ => Err(Refusal(404, 0, format!("Unable to find endpoint ({call})"))),
        }
    }

    fn task(&mut self, user: &User, arguments: &Map<String, Value>) -> Result<&mut Map<String, Value>, Refusal> {
        let id = arguments.get("task").and_then(Value::as_str).unwrap_or_default();
        let task = self.tasks.get_mut(id).filter(|task| Self::sees(user, task));
        task.ok_or_else(|| Refusal(400, 101, format!("Invalid task id (id={id})")))
    }

    fn create(&mut self, user: &User, arguments: &Map<String, Value>) -> Value {
        let id = self.new_id();
        self.add_task(&id, &user.id, json!([]), json!({}));
        if let Some(task) = self.tasks.get_mut(&id) {
            task.extend(arguments.clone());
            task.insert("status".into(), json!("created"));
        }
        json!({ "id": id })
    }

    fn edit(&mut self, user: &User, arguments: &Map<String, Value>) -> Data {
        let task = self.task(user, arguments)?;
        let force = arguments.get("force") == Some(&json!(true));
        if !force && task.get("status") != Some(&json!("created")) {
            return Err(Refusal(400, 110, "Invalid task status (expected=created)".into()));
        }
        for (name, value) in arguments.iter().filter(|(name, _)| !["task", "force"].contains(&name.as_str())) {
            task.insert(name.clone(), value.clone());
        }
        Ok(json!({ "updated": 1, "fields": {} }))
    }

    fn edit_runtime(&mut self, user: &User, arguments: &Map<String, Value>) -> Data {
        let escapes = self.options.escapes_keys;
        let stored = |key: &str| match key.strip_prefix('_').filter(|_| escapes) {
            Some(rest) => format!("%5f{}", rest.replace("__", "%5f%5f")),
            None if escapes => key.replace("__", "%5f%5f"),
            None => key.to_owned(),
        };
        let task = self.task(user, arguments)?;
        if task.get("status") != Some(&json!("in_progress")) {
            return Err(Refusal(400, 110, "Invalid task status".into()));
        }
        let runtime = task.entry("runtime").or_insert_with(|| json!({}));
        let runtime = runtime.as_object_mut().ok_or_else(|| Refusal(500, 0, "runtime".into()))?;
        for key in arguments.get("remove").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
            runtime.remove(&stored(key));
        }
        for (key, value) in arguments.get("add_or_update").and_then(Value::as_object).into_iter().flatten() {
            runtime.insert(stored(key), value.clone());
        }
        Ok(json!({ "updated": 1 }))
    }

    fn status(&mut self, user: &User, arguments: &Map<String, Value>, status: &str) -> Data {
        let task = self.task(user, arguments)?;
        task.insert("status".into(), json!(status));
        Ok(json!({ "updated": 1, "fields": {"status": status}, "started": 1 }))
    }

    fn list(&self, user: &User, arguments: &Map<String, Value>, expanded: bool) -> Value {
        let asked = |name: &str| arguments.get(name).and_then(Value::as_array).map(|_| Self::set_of(arguments.get(name)));
        let (ids, status, tags) = (asked("id"), asked("status"), asked("system_tags"));
        let fields = asked("only_fields");
        let text = |task: &Map<String, Value>, name: &str| task.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let found = self.tasks.values().filter(|task| {
            let has = Self::set_of(task.get("system_tags"));
            Self::sees(user, task)
                && ids.as_ref().is_none_or(|ids| ids.contains(text(task, "id").as_str()))
                && status.as_ref().is_none_or(|status| status.contains(text(task, "status").as_str()))
                && tags.as_ref().is_none_or(|tags| tags.iter().any(|tag| has.contains(tag)))
                && (arguments.get("search_hidden") == Some(&json!(true)) || !has.contains("hidden"))
        });
        let shown = |task: &Map<String, Value>| {
            let mut shown = Map::new();
            for (name, value) in task {
                let asked_for = |field: &&str| {
                    *field == name.as_str() || field.strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with('.'))
                };
                if name != "id" && fields.as_ref().is_some_and(|fields| !fields.iter().any(asked_for)) {
                    continue;
                }
                let value = match (name.as_str(), value) {
                    ("user" | "company" | "project", Value::String(id)) if expanded => json!({ "id": id }),
                    _ => value.clone(),
                };
                shown.insert(name.clone(), value);
            }
            Value::Object(shown)
        };
        let tasks = found.map(shown).collect();
        json!({ "tasks": page(tasks, arguments) })
    }
}
