//! Who may enter over HTTP.

use alloc::string::String;

use wicketgate_plugin::routing::{FactAnswer, Request};
use wicketgate_plugin::{Attributes, Error, Identity, Principal};

use crate::config::{Config, Way};

/// Whether somebody may enter, and by which way: the code of the decision's reason.
#[derive(Debug, PartialEq, Eq)]
pub enum Admission {
    Admitted(&'static str),
    Refused(&'static str),
}

/// # Errors
/// Where it depends on a fact alone that the host couldn't find out.
pub fn admit(config: &Config, request: &Request) -> Result<Admission, Error> {
    let session = &request.session;
    let shared = config.allow.contains(&Way::Shared);
    let Some(Identity::Principal(person)) = &request.identity else {
        let public = shared && session.has("access", "public");
        return Ok(if public { Admission::Admitted("public") } else { Admission::Refused("anonymous") });
    };
    if is_denied(config, person) {
        return Ok(Admission::Refused("denied"));
    }
    // Admins first, because a closed gateway asks for them.
    let admin = config.allow.contains(&Way::Admins) && listed(&config.admin_roles, person.role.as_deref());
    if admin {
        return Ok(Admission::Admitted("admin"));
    }
    if let Some(way) = config.allow.iter().find_map(|way| by_way(*way, config, person, session)) {
        return Ok(Admission::Admitted(way));
    }
    if let Some(way) = by_list(config, person) {
        return Ok(Admission::Admitted(way));
    }
    if config.allow.contains(&Way::Readers) {
        return match &request.may_read_session {
            Some(FactAnswer::Yes) => Ok(Admission::Admitted("reader")),
            Some(FactAnswer::No) => Ok(Admission::Refused("not-admitted")),
            Some(FactAnswer::Unavailable(why)) => Err(Error::Unavailable(why.clone())),
            None => Err(Error::Unavailable(String::from("the fact may-read-session"))),
        };
    }
    Ok(Admission::Refused("not-admitted"))
}

/// The ways that need nothing but the person and the session.
fn by_way(way: Way, config: &Config, person: &Principal, session: &Attributes) -> Option<&'static str> {
    // Two absent companies aren't the same company.
    let colleague = || person.company.as_deref().is_some_and(|company| session.has("company", company));
    match way {
        Way::Owner => session.has("owner", &person.id).then_some("owner"),
        Way::Shared if session.has("access", "public") => Some("public"),
        Way::Shared => (session.has("access", "company") && colleague()).then_some("company"),
        Way::Company => colleague().then_some("company"),
        Way::Group => {
            let groups = session.all(&config.group_attribute);
            groups.iter().any(|group| person.groups.contains(group)).then_some("group")
        }
        Way::Everyone => Some("everyone"),
        Way::Admins | Way::Readers => None,
    }
}

fn by_list(config: &Config, person: &Principal) -> Option<&'static str> {
    if config.allow_users.contains(&person.id) {
        Some("user")
    } else if person.groups.iter().any(|group| config.allow_groups.contains(group)) {
        Some("group")
    } else if listed(&config.allow_roles, person.role.as_deref()) {
        Some("role")
    } else {
        None
    }
}

fn is_denied(config: &Config, person: &Principal) -> bool {
    config.deny_users.contains(&person.id)
        || person.groups.iter().any(|group| config.deny_groups.contains(group))
        || listed(&config.deny_roles, person.role.as_deref())
}

fn listed(list: &[String], value: Option<&str>) -> bool {
    value.is_some_and(|value| list.iter().any(|it| it == value))
}
