//! The fake server's calls, but for those about tasks.

use http::HeaderMap;
use serde_json::{Map, Value, json};

use super::{
    Data, Refusal,
    state::{Call, State, User},
};

impl State {
    pub fn call(&mut self, name: &str, headers: &HeaderMap, arguments: Map<String, Value>, body: &[u8]) -> Data {
        let caller = self.caller(headers);
        let user = caller.as_ref().map_or_else(|_| String::new(), |user| user.id.clone());
        self.calls.push(Call { name: name.into(), user, arguments: arguments.clone() });
        if self.interference.as_ref().is_some_and(|(call, ..)| call == name)
            && let Some((_, task, act)) = self.interference.take()
        {
            act(self.tasks.get_mut(&task).expect("no such task"));
        }
        let user = caller?;
        match name {
            "auth.login" => {
                let lifetime = arguments.get("expiration_sec").and_then(Value::as_u64).unwrap_or(3600);
                Ok(json!({ "token": self.issue(&user.id, lifetime.min(31_536_000)) }))
            }
            "auth.logout" => {
                let token = headers.get("authorization").and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
                if let Some(token) = token {
                    self.revoke(token);
                }
                Ok(json!({}))
            }
            "auth.validate_token" if !["system", "root"].contains(&user.role.as_str()) => {
                Err(Refusal(403, 20, "Forbidden (role not allowed)".into()))
            }
            "users.get_current_user" => Ok(json!({ "user": {
                "id": user.id, "name": user.id, "role": user.role,
                "company": {"id": user.company, "name": user.company},
            }})),
            "projects.get_all" | "projects.get_all_ex" | "projects.create" | "projects.get_by_id" => {
                self.projects(name, &arguments)
            }
            "queues.get_all" => self.queues(&arguments),
            "routers.get_routes" if self.options.enterprise => Ok(json!({ "routes": [
                {"enabled": true, "status": "ok", "type": "http", "load_balancer": {"enabled": false}},
            ]})),
            "events.add_batch" => Ok(json!({ "added": body.split(|byte| *byte == b'\n').count(), "errors": 0, "errors_info": {} })),
            "events.add" => Ok(json!({ "added": 1 })),
            task if task.starts_with("tasks.") => self.task_call(task, &user, &arguments),
            _ => Err(Refusal(404, 0, format!("Unable to find endpoint ({name})"))),
        }
    }

    fn projects(&mut self, call: &str, arguments: &Map<String, Value>) -> Data {
        let text = |name: &str| arguments.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        match call {
            "projects.create" => {
                let id = self.new_id();
                self.projects.insert(id.clone(), text("name"));
                Ok(json!({ "id": id }))
            }
            "projects.get_by_id" => {
                let id = text("project");
                let name = self.projects.get(&id).ok_or_else(|| Refusal(400, 401, "Invalid project id".into()))?;
                Ok(json!({ "project": {"id": id, "name": name} }))
            }
            _ => {
                // A pattern of one whole name.
                let name = text("name").replace(['^', '$', '\\'], "");
                let found = self.projects.iter().filter(|(_, known)| name.is_empty() || **known == name);
                Ok(json!({ "projects": found.map(|(id, name)| json!({"id": id, "name": name})).collect::<Vec<_>>() }))
            }
        }
    }

    fn queues(&self, arguments: &Map<String, Value>) -> Data {
        let name = arguments.get("name").and_then(Value::as_str).map(|name| name.trim_matches(['^', '$']));
        let queues = self.queues.iter().filter(|(_, known)| name.is_none_or(|name| *known == name));
        let queues: Vec<Value> = queues.map(|(id, name)| json!({"id": id, "name": name})).collect();
        Ok(json!({ "queues": page(queues, arguments) }))
    }

    /// What this person may see: their company's.
    pub fn sees(user: &User, task: &Map<String, Value>) -> bool {
        let readers = task.get("readers").and_then(Value::as_array);
        task.get("company").and_then(Value::as_str) == Some(&user.company)
            && readers.is_none_or(|readers| readers.iter().any(|reader| reader == user.id.as_str()) || user.role == "admin")
    }
}

/// One page of a list; a page has at most 500.
pub fn page(list: Vec<Value>, arguments: &Map<String, Value>) -> Vec<Value> {
    let number = |name: &str| arguments.get(name).and_then(Value::as_u64).map(|number| usize::try_from(number).unwrap());
    let Some(page) = number("page") else { return list };
    let size = number("page_size").unwrap_or(500).min(500);
    list.into_iter().skip(page * size).take(size).collect()
}
