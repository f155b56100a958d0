//! The headers of every page of the gateway's own.

use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::html::STYLE;
use crate::config::{Config, SameSite};

/// Made once: they depend on nothing that a client sends.
pub(super) struct PageHeaders {
    policy: HeaderValue,
}

// === impl PageHeaders ===

impl PageHeaders {
    pub fn new(config: &Config) -> Self {
        let style = STANDARD.encode(digest::digest(&digest::SHA256, STYLE.as_bytes()));
        // Chromium applies `form-action` to where a form's answer leads: after logging in, to a session's own host.
        let session_hosts = config.session_hosts().map(|(scheme, behind)| format!(" {scheme}://*{behind}")).unwrap_or_default();
        // A login page in somebody else's frame is how people are made to click what they don't see. Where sessions are
        // shown in the frames of another site on purpose, the page must be able to appear there.
        let frames = match config.login.same_site {
            SameSite::Lax => "'none'",
            SameSite::None => "https:",
        };
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{style}'; form-action 'self'{session_hosts}; base-uri 'none'; \
             frame-ancestors {frames}"
        );
        Self { policy: HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'")) }
    }

    pub fn put(&self, headers: &mut HeaderMap) {
        let fixed: [(HeaderName, &'static str); 5] = [
            (header::CONTENT_TYPE, "text/html; charset=utf-8"),
            (header::CACHE_CONTROL, "no-store"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            // With `no-referrer`, browsers would send `Origin: null` with our own forms.
            (header::REFERRER_POLICY, "same-origin"),
            (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        ];
        for (name, value) in fixed {
            headers.insert(name, HeaderValue::from_static(value));
        }
        headers.insert(header::CONTENT_SECURITY_POLICY, self.policy.clone());
    }
}
