//! Groups may enter sessions at certain hours of certain days. An answer holds until the hour at which it would be another one:
//! so a remembered decision ends when the hour does, and who is inside is decided about again then.

mod hours;

use serde::Deserialize;
use wicketgate_plugin::routing::{Decision, Forwarding, Rejection, Request, RoutingPolicy};
use wicketgate_plugin::{Declaration, Error, Identity, Input, Lifetime, Pattern, Principal, Reason};

use hours::Hours;

#[derive(Deserialize)]
struct Config {
    /// The clock's distance from UTC.
    #[serde(default)]
    utc_offset_minutes: i64,
    rules: Vec<WrittenRule>,
}

#[derive(Deserialize)]
struct WrittenRule {
    groups: Vec<String>,
    /// Whose sessions: `*` stands for any text.
    #[serde(default = "any")]
    projects: Vec<String>,
    days: Vec<hours::Day>,
    from: String,
    to: String,
}

fn any() -> Vec<String> {
    vec!["*".to_owned()]
}

/// Who may enter which sessions, and when.
struct Rule {
    groups: Vec<String>,
    projects: Vec<Pattern>,
    hours: Hours,
}

/// The policy.
struct OfficeHours(Vec<Rule>);

impl RoutingPolicy for OfficeHours {
    type Config = Config;

    fn configure(config: Config) -> Result<(Self, Declaration), Error> {
        if !(-14 * 60..=14 * 60).contains(&config.utc_offset_minutes) {
            let found = config.utc_offset_minutes.to_string();
            return Err(Error::invalid_config("utc_offset_minutes", found, "minutes from -840 to 840"));
        }
        let rule = |(at, written): (usize, WrittenRule)| {
            let hours = Hours::parse(&written.days, &written.from, &written.to, config.utc_offset_minutes);
            let hours = hours.map_err(|(key, found, expected)| {
                Error::invalid_config(format!("rules.{at}.{key}"), format!("{found:?}"), expected)
            })?;
            let projects = written.projects.iter().map(Pattern::new).collect();
            Ok(Rule { groups: written.groups, projects, hours })
        };
        let rules = config.rules.into_iter().enumerate().map(rule).collect::<Result<Vec<_>, Error>>()?;
        Ok((Self(rules), Declaration::new().reads(Input::Identity).reads_attributes(["project"])))
    }

    fn route(&self, request: &Request) -> Result<Decision, Error> {
        let Some(Identity::Principal(person)) = &request.identity else {
            return Ok(Decision::Abstain(Reason::new("anonymous")));
        };
        let project = request.session.first("project").unwrap_or_default();
        let rules: Vec<&Rule> = self.0.iter().filter(|rule| rule.concerns(person, project)).collect();
        if let Some(until) = rules.iter().filter_map(|rule| rule.hours.open_until(request.now)).max() {
            let lifetime = Lifetime { valid_until: Some(until), recheck_after_s: None };
            return Ok(Decision::Forward(Forwarding { lifetime, ..Forwarding::new("open-hours") }));
        }
        // Which doesn't depend on the time, so that abstaining, which has no lifetime, is right.
        let Some(opens) = rules.iter().map(|rule| rule.hours.opens_after(request.now)).min() else {
            return Ok(Decision::Abstain(Reason::new("no-rule")));
        };
        let lifetime = Lifetime { valid_until: Some(opens), recheck_after_s: None };
        let rejection = Rejection::with_message("closed-hours", "This session is open to you at other hours.");
        Ok(Decision::Reject(Rejection { lifetime, ..rejection }))
    }
}

// === impl Rule ===

impl Rule {
    fn concerns(&self, person: &Principal, project: &str) -> bool {
        person.groups.iter().any(|group| self.groups.contains(group))
            && self.projects.iter().any(|pattern| pattern.matches(project))
    }
}

wicketgate_plugin::export_routing_policy!(OfficeHours);

#[cfg(test)]
mod tests;
