//! Whether somebody is who they say, by local users first and then by the API server, and the token that they get for it.

use std::{net::IpAddr, sync::Arc, time::Instant};

use prometheus_client::{encoding::EncodeLabelSet, metrics::counter::Counter, metrics::family::Family, registry::Registry};

use super::{Attempts, Mint, attempts::TooMany, compare::same_secret, form::Form};
use crate::{
    config::{Config, User},
    domain::{Credential, Timestamp, facts::Asked},
};

/// The API server, as far as logging in goes. Errors of a question say for the operator why there's no answer.
pub trait LoginServer: Send + Sync {
    /// A token for a user with a password, or for an access key with its secret key, that lives for so many seconds. None:
    /// the server doesn't accept them.
    fn login(&self, user: String, password: Credential, lifetime_s: u64) -> Asked<Option<Credential>>;

    /// Whether the server accepts a token.
    fn check(&self, token: Credential) -> Asked<bool>;
}

/// Checks credentials.
pub struct Login {
    users: Vec<User>,
    mint: Arc<Mint>,
    server: Option<Arc<dyn LoginServer>>,
    attempts: Attempts,
    lifetime_s: u64,
    outcomes: Family<OutcomeLabel, Counter>,
}

/// What became of an attempt.
#[derive(Debug)]
pub enum Outcome {
    /// The cookie's value from now on.
    LoggedIn(Credential),
    Refused,
    /// Nothing was filled in that could be looked at.
    Incomplete,
    TooMany(TooMany),
    /// The server couldn't be asked.
    Unavailable,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

// === impl Login ===

impl Login {
    /// Without a server only local users can log in.
    pub fn new(config: &Config, mint: Arc<Mint>, server: Option<Arc<dyn LoginServer>>) -> Self {
        let login = &config.login;
        Self {
            users: login.users.clone(),
            mint,
            server,
            attempts: Attempts::new(login.attempts_per_minute, login.attempts_per_minute_in_all),
            lifetime_s: login.session_hours.saturating_mul(3600),
            outcomes: Family::default(),
        }
    }

    pub fn register(&self, registry: &mut Registry) {
        registry.register("login_attempts", "Attempts to log in, by outcome", self.outcomes.clone());
    }

    /// Whether tokens and access keys can be used, besides local users.
    pub fn has_server(&self) -> bool {
        self.server.is_some()
    }

    pub(super) async fn attempt(&self, form: &Form, client: IpAddr) -> Outcome {
        let outcome = self.attempt_uncounted(form, client).await;
        let label = match &outcome {
            Outcome::LoggedIn(_) => "logged-in",
            Outcome::Refused => "refused",
            Outcome::Incomplete => "incomplete",
            Outcome::TooMany(_) => "too-many",
            Outcome::Unavailable => "unavailable",
        };
        self.outcomes.get_or_create(&OutcomeLabel { outcome: label }).inc();
        // Who it claimed to be isn't logged: passwords get typed into the wrong field.
        tracing::info!(%client, outcome = label, "login");
        outcome
    }

    async fn attempt_uncounted(&self, form: &Form, client: IpAddr) -> Outcome {
        if form.token.is_none() && (form.user.is_empty() || form.password.is_none()) {
            return Outcome::Incomplete;
        }
        if let Err(too_many) = self.attempts.count(client, Instant::now()) {
            return Outcome::TooMany(too_many);
        }
        let answer = match (&form.token, &form.password) {
            (Some(token), _) => self.by_token(token).await,
            (None, Some(password)) => self.by_password(&form.user, password).await,
            (None, None) => return Outcome::Incomplete,
        };
        match answer {
            Ok(Some(token)) => {
                self.attempts.forgive(client);
                Outcome::LoggedIn(token)
            }
            Ok(None) => Outcome::Refused,
            Err(error) => {
                tracing::error!(error, "login: nobody can be asked");
                Outcome::Unavailable
            }
        }
    }

    /// A local user's name is never asked of the server: one id, one password.
    async fn by_password(&self, id: &str, password: &Credential) -> Result<Option<Credential>, String> {
        let user = self.users.iter().find(|user| user.id == id);
        // Somebody is compared in any case, so that the time doesn't tell which ids there are.
        let expected = user.or(self.users.first()).map_or("", |user| user.password.reveal());
        let is_right = same_secret(password.reveal().as_bytes(), expected.as_bytes());
        match (user, &self.server) {
            (Some(user), _) if is_right => self.mint.token(user, Timestamp::now()).map(Some).map_err(|error| error.to_string()),
            (Some(_), _) | (None, None) => Ok(None),
            (None, Some(server)) => server.login(id.to_owned(), password.clone(), self.lifetime_s).await,
        }
    }

    async fn by_token(&self, token: &Credential) -> Result<Option<Credential>, String> {
        match &self.server {
            Some(server) => Ok(server.check(token.clone()).await?.then(|| token.clone())),
            None => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    /// Knows `eve` with the password `remote`, and the token `good`.
    struct Server;

    impl LoginServer for Server {
        fn login(&self, user: String, password: Credential, lifetime_s: u64) -> Asked<Option<Credential>> {
            assert_eq!(lifetime_s, 12 * 3600);
            let token = (user == "eve" && password.reveal() == "remote").then(|| Credential::new("server-token"));
            Box::pin(async move { if user == "down" { Err("connection refused".into()) } else { Ok(token) } })
        }

        fn check(&self, token: Credential) -> Asked<bool> {
            Box::pin(async move { Ok(token.reveal() == "good") })
        }
    }

    fn asking(server: Option<Arc<dyn LoginServer>>) -> Login {
        let config = parse("login: {attempts_per_minute: 3, users: [{id: ada, password: local}]}").unwrap().config;
        Login::new(&config, Arc::new(Mint::new(&config).unwrap()), server)
    }

    fn form(user: &str, password: &str, token: &str) -> Form {
        let credential = |text: &str| (!text.is_empty()).then(|| Credential::new(text));
        Form { user: user.into(), password: credential(password), token: credential(token), way_back: None }
    }

    async fn outcome(login: &Login, form: Form) -> Outcome {
        login.attempt(&form, IpAddr::from([10, 0, 0, 1])).await
    }

    #[tokio::test]
    async fn local_users_get_a_token_of_the_gateways() {
        let login = asking(None);
        assert!(
            matches!(outcome(&login, form("ada", "local", "")).await, Outcome::LoggedIn(token) if token.reveal().split('.').count() == 3)
        );
        for (user, password) in [("ada", "Local"), ("ada", "remote"), ("eve", "local"), ("", "local"), ("ada", "")] {
            let outcome = outcome(&asking(None), form(user, password, "")).await;
            assert!(matches!(outcome, Outcome::Refused | Outcome::Incomplete), "{user}: {outcome:?}");
        }
        assert!(matches!(outcome(&login, form("", "", "good")).await, Outcome::Refused), "nobody knows tokens");
    }

    #[tokio::test]
    async fn the_server_is_asked_about_everybody_else() {
        let login = asking(Some(Arc::new(Server)));
        assert!(
            matches!(outcome(&login, form("eve", "remote", "")).await, Outcome::LoggedIn(token) if token.reveal() == "server-token")
        );
        assert!(matches!(outcome(&login, form("", "", "good")).await, Outcome::LoggedIn(token) if token.reveal() == "good"));
        assert!(matches!(outcome(&login, form("", "", "bad")).await, Outcome::Refused));
        assert!(matches!(outcome(&login, form("down", "x", "")).await, Outcome::Unavailable));
    }

    #[tokio::test]
    async fn failures_are_limited_and_success_is_not() {
        let login = asking(Some(Arc::new(Server)));
        for _ in 0..10 {
            assert!(matches!(outcome(&login, form("ada", "local", "")).await, Outcome::LoggedIn(_)));
        }
        for _ in 0..3 {
            assert!(matches!(outcome(&login, form("ada", "wrong", "")).await, Outcome::Refused));
        }
        assert!(matches!(outcome(&login, form("ada", "local", "")).await, Outcome::TooMany(_)), "the right one too");
        let other = login.attempt(&form("ada", "local", ""), IpAddr::from([10, 0, 0, 2])).await;
        assert!(matches!(other, Outcome::LoggedIn(_)), "not for others");
    }
}
