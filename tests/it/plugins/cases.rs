//! A plugin's own cases: a set whose plugins don't come to what is written is never taken.

use wicketgate_tests::Gateway;

use crate::site::{Site, defaults_with, only, recovered, refused};

fn set(allow: &str) -> String {
    let policy = format!(
        "{{name: policy, kind: routing-policy, builtin: routing-policy, cases: [cases.yaml], config: {{allow: [{allow}]}}}}"
    );
    defaults_with("routing-policy", &policy)
}

const CASES: &str = "
- name: the owner enters
  http: {path: /lab}
  session: {owner: ada}
  identity: {principal: {id: ada}}
  expect: {decision: forward, reason: owner}
- name: a stranger doesn't
  http: {}
  session: {owner: ada}
  expect: {decision: unauthenticated}
";

#[tokio::test]
async fn a_set_that_does_not_pass_its_own_cases_is_refused() {
    let mut site =
        Site::new(&only(defaults_with("routing-policy", "{name: policy, kind: routing-policy, builtin: routing-policy}")));
    let gateway = Gateway::start(&site.config()).await;
    site.plugins.replace(&[("plugins.yaml", set("everyone").as_str()), ("cases.yaml", CASES)]);
    let why = refused(&gateway, None).await;
    assert_eq!(
        why,
        "plugin 'policy': 1 of 2 cases come out otherwise: 'the owner enters': reason: expected \"owner\", found \"everyone\""
    );
    site.plugins.replace(&[("plugins.yaml", set("everyone").as_str()), ("cases.yaml", "- name: x\n  expect: {decision: allow}\n")]);
    let why = refused(&gateway, Some(&why)).await;
    assert!(
        why.starts_with("plugin 'policy': cases.yaml, case 1 ('x'), expect.decision: found 'allow', expected one of forward"),
        "{why}"
    );
    site.mount(&set("everyone"));
    let why = refused(&gateway, Some(&why)).await;
    assert_eq!(why, "plugins.yaml, plugin 'policy', cases: cases.yaml: no such file beside the manifest");
    site.plugins.replace(&[("plugins.yaml", set("owner").as_str()), ("cases.yaml", CASES)]);
    recovered(&gateway, 1).await;
}
