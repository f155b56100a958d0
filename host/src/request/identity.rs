//! The headers by which a session learns who its visitor is. Made once for each person and worker: a request copies handles.

use std::{cell::RefCell, collections::HashMap, rc::Rc, sync::Arc};

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::domain::Principal;

pub const USER: HeaderName = HeaderName::from_static("x-wicketgate-user");
pub const NAME: HeaderName = HeaderName::from_static("x-wicketgate-name");
pub const COMPANY: HeaderName = HeaderName::from_static("x-wicketgate-company");
pub const ROLE: HeaderName = HeaderName::from_static("x-wicketgate-role");
/// Separated by commas.
pub const GROUPS: HeaderName = HeaderName::from_static("x-wicketgate-groups");

/// People that this worker knows, by the address of the principal that a decision holds; holding it keeps the address.
#[derive(Default)]
pub struct Known(RefCell<HashMap<usize, (Arc<Principal>, Lines)>>);

type Lines = Rc<[(HeaderName, HeaderValue)]>;

/// People at once; over it all are forgotten.
const MOST: usize = 1024;

// === impl Known ===

impl Known {
    /// Sets the headers of this person.
    pub fn tell(&self, principal: &Arc<Principal>, headers: &mut HeaderMap) {
        for (name, value) in self.lines(principal).iter() {
            headers.insert(name, value.clone());
        }
    }

    fn lines(&self, principal: &Arc<Principal>) -> Lines {
        let mut known = self.0.borrow_mut();
        if known.len() >= MOST {
            known.clear();
        }
        let entry = known.entry(Arc::as_ptr(principal) as usize);
        entry.or_insert_with(|| (principal.clone(), lines(principal))).1.clone()
    }
}

/// What a header can't hold (line breaks and other controls, commas in groups) is left out, never cut.
fn lines(principal: &Principal) -> Lines {
    // A group with a comma in its name would be two.
    let groups: Vec<&str> = principal.groups.iter().map(String::as_str).filter(|group| !group.contains(',')).collect();
    let groups = (!groups.is_empty()).then(|| groups.join(","));
    let lines = [
        (USER, Some(principal.id.as_str())),
        (NAME, principal.name.as_deref()),
        (COMPANY, principal.company.as_deref()),
        (ROLE, principal.role.as_deref()),
        (GROUPS, groups.as_deref()),
    ];
    lines.into_iter().filter_map(|(name, text)| Some((name, HeaderValue::from_bytes(text?.as_bytes()).ok()?))).collect()
}
