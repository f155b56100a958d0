use super::*;

#[test]
fn an_answer_that_is_not_the_servers_says_so() {
    for body in ["", "<html>502</html>", "{}", "[]", "{\"meta\":{}}", "{\"meta\":{\"result_code\":\"x\"},\"data\":{}}", "null"] {
        let error = answer::open("queues.get_all", 502, body.as_bytes()).unwrap_err();
        assert!(
            error.to_string().starts_with("queues.get_all: expected an answer of a ClearML API server, found HTTP status 502"),
            "{error}"
        );
    }
}

#[test]
fn a_refusal_names_call_and_code_and_keeps_one_line() {
    let body =
        format!(r#"{{"meta":{{"result_code":401,"result_subcode":30,"result_msg":"bad\ntoken\u001b[31m{}"}}}}"#, "x".repeat(5000));
    let error = answer::open("tasks.edit", 401, body.as_bytes()).unwrap_err();
    assert!(error.is_unauthorised() && error.is_request() && !error.is_unknown_call());
    let text = error.to_string();
    assert!(text.starts_with("tasks.edit: the API server refused with 401/30: bad token [31mxxx"), "{text}");
    assert!(text.len() < 400 && !text.chars().any(char::is_control), "{text}");
}

#[test]
fn tasks_of_any_shape_are_read_without_a_panic() {
    use serde_json::json;
    for value in [json!(null), json!([]), json!({}), json!({"id": 7}), json!("t")] {
        assert!(Task::parse(value).is_none());
    }
    let odd = json!({"id": "t", "user": 1, "company": {"id": 2}, "tags": [1, "a", null], "runtime": [], "execution": "x",
        "hyperparams": {"properties": {"k8s-queue": "gpu"}}, "status": 5});
    let task = Task::parse(odd).unwrap();
    assert!(task.user.is_none() && task.company.is_none() && !task.running && task.runtime.is_empty());
    assert_eq!((task.tags.as_slice(), task.kubernetes_queue), (["a".to_owned()].as_slice(), None));
    let full = json!({"id": "t", "user": {"id": "u"}, "company": "c", "execution": {"queue": {"id": "q"}}, "status": "in_progress",
        "hyperparams": {"properties": {"k8s-queue": {"value": "gpu"}}}});
    let task = Task::parse(full).unwrap();
    assert_eq!((task.user.as_deref(), task.company.as_deref(), task.queue.as_deref()), (Some("u"), Some("c"), Some("q")));
    assert_eq!((task.kubernetes_queue.as_deref(), task.running), (Some("gpu"), true));
}

#[test]
fn a_credential_that_no_header_may_have_is_not_sent_nor_shown() {
    assert!(Authority::Bearer("a\r\nX: y").header().is_none());
    let shown = format!("{:?}", Authority::Basic("user", "hush").header().unwrap());
    assert_eq!(shown, "Sensitive");
}
