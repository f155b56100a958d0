//! The chart's Role has nothing that isn't used: without each of its verbs something fails, and works again with it.

use serde_json::{Value, json};
use wicketgate_tests::{Client, Gateway, eventually};

use crate::{
    chart::RELEASE,
    stage::{Stage, annotation, answers, leads, person},
};

const ROLE: &str = "gate-wicketgate";
const PLUGINS: &str = "team-a";

/// So that the Role has everything.
const VALUES: [&str; 4] = ["--set", "plugins.watch=true", "--set", "plugins.existingConfigMaps={team-a}"];

/// What the server says of a missing right, and what shows that the right is there.
struct Case {
    group: &'static str,
    resource: &'static str,
    verb: &'static str,
    shows: Shows,
}

enum Shows {
    /// Pods that were there before are sessions.
    Sessions,
    /// Pods that come later are. What was listed counts, whatever became of the watch.
    News,
    Annotations,
    Events,
    Leader,
    Plugins,
}

const CASES: [Case; 9] = [
    Case { group: "", resource: "pods", verb: "list", shows: Shows::Sessions },
    Case { group: "", resource: "pods", verb: "watch", shows: Shows::News },
    Case { group: "", resource: "pods", verb: "patch", shows: Shows::Annotations },
    Case { group: "coordination.k8s.io", resource: "leases", verb: "get", shows: Shows::Leader },
    Case { group: "coordination.k8s.io", resource: "leases", verb: "create", shows: Shows::Leader },
    Case { group: "coordination.k8s.io", resource: "leases", verb: "update", shows: Shows::Leader },
    Case { group: "events.k8s.io", resource: "events", verb: "create", shows: Shows::Events },
    Case { group: "", resource: "configmaps", verb: "list", shows: Shows::Plugins },
    Case { group: "", resource: "configmaps", verb: "watch", shows: Shows::Plugins },
];

#[tokio::test]
async fn each_verb_of_the_role_is_needed() {
    let stage = Stage::with("role", &VALUES).await;
    let mut tried: Vec<_> =
        CASES.iter().map(|case| (case.group.to_owned(), case.resource.to_owned(), case.verb.to_owned())).collect();
    let mut given = verbs(&rules(&stage).await);
    tried.sort();
    given.sort();
    assert_eq!(given, tried, "the chart's Role and the cases of this test");
    for case in &CASES {
        case.check().await;
    }
}

async fn rules(stage: &Stage) -> Value {
    let path = stage.namespace.group("rbac.authorization.k8s.io/v1", &format!("roles/{ROLE}"));
    stage.namespace.api.get(&path).await["rules"].take()
}

/// Group, resource and verb, each of them one right.
fn verbs(rules: &Value) -> Vec<(String, String, String)> {
    let list = |rule: &Value, key: &str| -> Vec<String> {
        rule[key].as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    let mut verbs = Vec::new();
    for rule in rules.as_array().unwrap() {
        for group in list(rule, "apiGroups") {
            for resource in list(rule, "resources") {
                verbs.extend(list(rule, "verbs").into_iter().map(|verb| (group.clone(), resource.clone(), verb)));
            }
        }
    }
    verbs
}

// === impl Case ===

impl Case {
    async fn check(&self) {
        println!("without {} {}", self.verb, self.resource);
        let stage = Stage::with("verb", &VALUES).await;
        let all = rules(&stage).await;
        stage.namespace.config_map(PLUGINS, &json!({"plugins.yaml": crate::stage::MANIFEST})).await;
        if self.verb == "update" {
            // Somebody had it before.
            let lease = json!({"metadata": {"name": RELEASE}, "spec": {"holderIdentity": ""}});
            stage.namespace.api.create(&stage.namespace.group("coordination.k8s.io/v1", "leases"), &lease).await;
        }
        stage.namespace.change_role(ROLE, &self.without(&all)).await;
        self.is_allowed(&stage, "a right is taken", false).await;

        let early = stage.public("early").await;
        let config = stage.config("").replace("poll_s: 1}", &format!("poll_s: 1, config_maps: [{PLUGINS}]}}"));
        let gateway = Gateway::start_unready_on(&stage.network.host(), &config).await;
        eventually("the server's word on it in the log", async || {
            let refused = format!("cannot {} resource", self.verb);
            gateway.log().lines().any(|line| line.contains(&refused) && line.contains(self.resource)).then_some(())
        })
        .await;
        self.fails(&stage, &gateway).await;

        stage.namespace.change_role(ROLE, &all).await;
        self.is_allowed(&stage, "it's given back", true).await;
        match self.shows {
            Shows::Sessions => answers(&gateway, &Client::default(), "early", 200).await,
            Shows::News => {
                let _late = stage.public("late").await;
                answers(&gateway, &person("anybody"), "late", 200).await;
            }
            Shows::Annotations => drop(annotation(&early.pod, "endpoint").await),
            Shows::Leader => leads(&gateway).await,
            Shows::Events => {
                let later = stage.public("later").await;
                eventually("an Event", async || stage.told(&later.pod, "Published").await).await;
            }
            Shows::Plugins => {
                closed(&stage).await;
                answers(&gateway, &Client::default(), "early", 401).await;
            }
        }
    }

    /// What doesn't work without the right, at the time at which it was refused.
    async fn fails(&self, stage: &Stage, gateway: &Gateway) {
        match self.shows {
            Shows::Sessions => answers(gateway, &Client::default(), "early", 503).await,
            Shows::News => answers(gateway, &Client::default(), "early", 200).await,
            Shows::Annotations => {
                leads(gateway).await;
                let early = stage.namespace.api.get(&stage.namespace.core("pods/early")).await;
                assert!(early["metadata"]["annotations"]["wicketgate.io/endpoint"].is_null(), "{early}");
            }
            Shows::Leader => assert_eq!(gateway.metric("wicketgate_leader").await, 0),
            Shows::Events => {
                let path = stage.namespace.core("pods/early");
                eventually("the annotation", async || {
                    stage.namespace.api.get(&path).await["metadata"]["annotations"]["wicketgate.io/endpoint"].as_str().map(drop)
                })
                .await;
                assert!(stage.namespace.events("early").await.is_empty());
            }
            // The mount counts, and says that everybody may enter.
            Shows::Plugins => answers(gateway, &Client::default(), "early", 200).await,
        }
    }

    fn without(&self, rules: &Value) -> Value {
        let mut rules = rules.clone();
        for rule in rules.as_array_mut().unwrap() {
            if rule["apiGroups"][0] == self.group && rule["resources"][0] == self.resource {
                rule["verbs"].as_array_mut().unwrap().retain(|verb| verb != self.verb);
            }
        }
        rules.as_array_mut().unwrap().retain(|rule| !rule["verbs"].as_array().unwrap().is_empty());
        rules
    }

    /// Waits until the server has noticed that the Role is another.
    async fn is_allowed(&self, stage: &Stage, what: &str, expected: bool) {
        let account = stage.namespace.account(ROLE).await;
        let name = match (self.resource, self.verb) {
            ("configmaps", _) => PLUGINS,
            ("leases", "get" | "update") => RELEASE,
            _ => "",
        };
        let attributes = json!({
            "namespace": stage.namespace.name, "group": self.group, "resource": self.resource, "verb": self.verb, "name": name,
        });
        let review = json!({"spec": {"resourceAttributes": attributes}});
        eventually(what, async || {
            let answer = account.create("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", &review).await;
            (answer["status"]["allowed"].as_bool().unwrap_or_default() == expected).then_some(())
        })
        .await;
    }
}

/// The plugins' ConfigMap says that pods aren't believed any more, which the mount doesn't say.
async fn closed(stage: &Stage) {
    let manifest = crate::stage::MANIFEST.replace("trusted_sources: [file, kubernetes, clearml]", "trusted_sources: []");
    let path = stage.namespace.core(&format!("configmaps/{PLUGINS}"));
    stage.namespace.api.merge(&path, &json!({"data": {"plugins.yaml": manifest}})).await;
}
