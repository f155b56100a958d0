//! Every YAML block of `plugins/README.md` is a configuration that the real plugin takes.

use serde_json::Value;
use wicketgate_cookie_auth::CookieAuth;
use wicketgate_discovery_filter::DefaultFilter;
use wicketgate_plugin::{Error, testing};
use wicketgate_routing_policy::DefaultPolicy;

const README: &str = include_str!("../../README.md");

/// The YAML blocks, each with the heading that it stands under.
fn blocks() -> Vec<(&'static str, &'static str)> {
    let sections = README.split("\n## ").skip(1).filter_map(|section| section.split_once('\n'));
    sections.flat_map(|(heading, text)| yaml(text).into_iter().map(move |block| (heading, block))).collect()
}

fn yaml(text: &str) -> Vec<&str> {
    text.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

fn configure(plugin: &str, config: &Value) -> Result<(), Error> {
    let config = config.to_string();
    match plugin {
        "discovery-filter" => testing::discovery_filter::<DefaultFilter>(&config).map(|_| ()),
        "cookie-auth" => testing::authenticator::<CookieAuth>(&config).map(|_| ()),
        "routing-policy" => testing::routing_policy::<DefaultPolicy>(&config).map(|_| ()),
        other => Err(Error::Other(format!("no default plugin {other}"))),
    }
}

#[test]
fn every_documented_configuration_is_taken() {
    let mut taken = 0;
    for (heading, block) in blocks() {
        let value: Value = serde_saphyr::from_str(block).unwrap_or_else(|error| panic!("{heading}: {error}\n{block}"));
        // A manifest, and not a plugin's own configuration.
        if let Some(plugins) = value["plugins"].as_array() {
            for plugin in plugins {
                configure(plugin["builtin"].as_str().unwrap(), &plugin["config"]).unwrap();
            }
        } else {
            configure(heading, &value).unwrap_or_else(|error| panic!("{heading}: {error}\n{block}"));
            taken += 1;
        }
    }
    assert_eq!(taken, 13, "a block is missing, or a new one isn't counted");
}

#[test]
fn the_quoted_error_is_the_real_one() {
    let error = configure("discovery-filter", &serde_json::json!({"access": {"rules": [{"tag": ["x"]}]}})).unwrap_err();
    assert!(README.contains(&format!("\n{error}\n")), "{error}");
}
