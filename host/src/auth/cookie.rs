//! The gateway's own cookie, as it's set and taken back.

use http::HeaderValue;

use crate::{
    config::{Config, SameSite},
    domain::Credential,
};

/// Browsers keep no more of a cookie than 4096 bytes of name and value (RFC 6265bis, section 5.6).
const LONGEST: usize = 4096;

/// How the cookie is written. Where people log in within the base domain it's sent to every session's host, because that is
/// how a session's host knows them; the gateway takes it out before anything reaches a session.
#[derive(Clone, Debug)]
pub struct LoginCookie {
    name: String,
    /// Everything behind the value but how long it's kept.
    attributes: String,
    max_age_s: u64,
    pub is_secure: bool,
}

// === impl LoginCookie ===

impl LoginCookie {
    pub fn new(config: &Config) -> Self {
        let login = &config.login;
        let is_secure = login.secure.unwrap_or(config.is_https());
        let domain = config.cookie_domain().map(|domain| format!("; Domain={domain}")).unwrap_or_default();
        let secure = if is_secure { "; Secure" } else { "" };
        let same_site = match login.same_site {
            SameSite::Lax => "Lax",
            SameSite::None => "None",
        };
        Self {
            name: login.cookie.clone(),
            attributes: format!("; Path=/; HttpOnly; SameSite={same_site}{secure}{domain}"),
            max_age_s: login.session_hours.saturating_mul(3600),
            is_secure,
        }
    }

    /// `Set-Cookie` with a token. None when the token doesn't fit into a cookie, by its letters or its length.
    pub fn set(&self, token: &Credential) -> Option<HeaderValue> {
        let token = token.reveal();
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
        if token.is_empty() || !token.bytes().all(fits) || self.name.len() + token.len() > LONGEST {
            return None;
        }
        let mut value =
            HeaderValue::try_from(format!("{}={token}; Max-Age={}{}", self.name, self.max_age_s, self.attributes)).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// `Set-Cookie` that takes it back.
    pub fn remove(&self) -> Option<HeaderValue> {
        HeaderValue::try_from(format!("{}=; Max-Age=0{}", self.name, self.attributes)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    fn set(config: &str) -> String {
        let cookie = LoginCookie::new(&parse(config).unwrap().config);
        cookie.set(&Credential::new("a.b-c_d")).unwrap().to_str().unwrap().to_owned()
    }

    #[test]
    fn it_is_as_narrow_as_the_configuration_allows() {
        assert_eq!(set(""), "wicketgate_session=a.b-c_d; Max-Age=43200; Path=/; HttpOnly; SameSite=Lax");
        assert!(set("public_url: https://g.x.org").ends_with("; SameSite=Lax; Secure"));
        assert!(!set("{public_url: 'https://g.x.org', login: {secure: false}}").contains("Secure"));
        assert!(set("{public_url: 'https://g.x.org', login: {same_site: none}}").ends_with("; SameSite=None; Secure"));
        assert!(set("{public_url: 'http://g.a.org', base_domain: a.org}").ends_with("; SameSite=Lax; Domain=a.org"));
        assert!(!set("{public_url: 'http://g.b.org', base_domain: a.org}").contains("Domain"), "it would not be kept");
    }

    #[test]
    fn a_token_that_does_not_fit_is_not_set() {
        let cookie = LoginCookie::new(&parse("").unwrap().config);
        for bad in ["", "a;b", "a b", "a\r\nb", "é", "a,b", "\"a\"", &"a".repeat(4090)] {
            assert!(cookie.set(&Credential::new(bad)).is_none(), "{bad:?}");
        }
        assert_eq!(cookie.remove().unwrap(), "wicketgate_session=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax");
    }

    #[test]
    fn its_value_is_not_printed() {
        let cookie = LoginCookie::new(&parse("").unwrap().config);
        assert!(!format!("{:?}", cookie.set(&Credential::new("hush"))).contains("hush"));
    }
}
