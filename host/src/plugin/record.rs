//! Records what chains decide. Made where a plugin was really asked: a decision from the cache has the record of the one that it
//! repeats. Nothing that was declared a credential gets into a record; a keyed digest stands in its place, equal for equal ones
//! until the gateway restarts.

mod evidence;
mod follow;
mod redaction;
mod ring;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use self::{
    evidence::is_known,
    follow::Followers,
    redaction::{Redaction, Secrets, has_scheme},
    ring::{Rings, Weighed},
};
pub use self::{
    evidence::{Evidence, Said},
    follow::{Following, Judge},
};
use super::{
    Kind, PluginName,
    fault::Fault,
    host_calls::{CallState, Verification},
    inputs::{CredentialInputs, Gathered, Inputs},
    key_set::{Refusal, claims_of},
};
use crate::{
    config,
    domain::{
        facts::Introspection,
        record::{Bytes, Field, Fields, Http, MayRead, Outcome, Record, RecordId, Refused, Tcp, Token, TokenAnswer},
    },
};

/// Keeps the last records of each kind, and hands new ones to whoever follows.
pub struct Recorder {
    keep: usize,
    /// What is recorded beside what plugins declare.
    inputs: Inputs,
    redaction: Redaction,
    /// The upper half of each id.
    start: u64,
    next: AtomicU64,
    rings: Mutex<Rings>,
    followers: Followers,
}

/// What a chain did so far.
pub(super) struct Trail {
    began: Instant,
    asked: Vec<Arc<PluginName>>,
    /// Set by the first plugin that wasn't answered for by the cache.
    id: Option<RecordId>,
    /// What the server last said to the host on the way.
    pub may_read: Option<MayRead>,
}

// === impl Recorder ===

impl Recorder {
    /// # Errors
    /// An input of the configuration that is none.
    pub fn new(config: &config::Records) -> Result<Self, String> {
        let mut inputs = Inputs::of_words(&config.inputs).map_err(|error| format!("plugins.records.inputs: {error}"))?;
        // Whoever chooses these by name may not know what they hold.
        let secret = |name: &&http::HeaderName| [http::header::AUTHORIZATION, http::header::PROXY_AUTHORIZATION].contains(*name);
        inputs.credentials.headers = inputs.headers.iter().filter(secret).cloned().collect();
        inputs.credentials.cookies.clone_from(&inputs.cookies);
        inputs.credentials.query.clone_from(&inputs.query);
        if inputs.headers.contains(&http::header::COOKIE) {
            return Err(
                "plugins.records.inputs: found \"header cookie\", expected cookies by their names (`cookie <name>`)".to_owned()
            );
        }
        let redaction = Redaction::new()?;
        let [one, two, three] = redaction.whose();
        Ok(Self {
            keep: config.keep,
            inputs,
            redaction,
            start: u64::from_be_bytes([one, two, three, 0, 0, 0, 0, 0]),
            next: AtomicU64::new(1),
            rings: Mutex::new(Rings::new(config.keep, config.bytes)),
            followers: Followers::default(),
        })
    }

    pub(super) fn inputs(&self) -> &Inputs {
        &self.inputs
    }

    fn is_on(&self) -> bool {
        self.keep > 0 || self.followers.are_there()
    }

    /// The record of that id, while it's kept.
    pub fn find(&self, id: RecordId) -> Option<Arc<Record>> {
        self.rings().find(id).cloned()
    }

    /// The last records of one kind, oldest first.
    pub fn last(&self, kind: Kind, most: usize) -> Vec<Arc<Record>> {
        self.rings().last(kind, most)
    }

    /// Gets each record from now on, with room for so many that wait.
    pub(super) fn follow_for(&self, judge: Judge, room: usize) -> Following {
        self.followers.add(judge, room)
    }

    /// Who is to decide by the records of a generation.
    pub(super) fn judges(&self, generation: u64) -> Vec<Arc<Judge>> {
        self.followers.judges(generation)
    }

    pub(super) fn keep(&self, record: Record) {
        let bytes = record.bytes();
        let record = Weighed { record: Arc::new(record), bytes };
        self.followers.tell(&record);
        self.rings().keep(record);
    }

    fn rings(&self) -> MutexGuard<'_, Rings> {
        self.rings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The gathered inputs of a subject as a record holds them.
    pub(super) fn subject(&self, gathered: &Gathered<'_>, credentials: &CredentialInputs) -> (Option<Http>, Option<Tcp>) {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let client_address = gathered.client_address.map(|address| address.to_canonical());
        let client_certificate = gathered.client_certificate.map(|certificate| Bytes(certificate.to_vec()));
        let (tls_name, listener_port) = (owned(gathered.tls_name), gathered.listener_port);
        if gathered.is_tcp {
            return (None, Some(Tcp { tls_name, client_address, client_certificate, listener_port }));
        }
        let field = |name: &str, value: &[u8], is_secret: bool, has_scheme: bool| {
            let value = if is_secret { self.redaction.field(value, has_scheme) } else { value.to_vec() };
            Field(name.to_owned(), Bytes(value))
        };
        let cookies = gathered.cookies.iter().map(|(name, value)| field(name, value, credentials.has_cookie(name), false));
        let headers =
            gathered.headers.iter().map(|(name, value)| field(name, value, credentials.has_header(name), has_scheme(name)));
        let query = gathered.query.iter().map(|(name, value)| field(name, value, credentials.has_query(name), false));
        let http = Http {
            method: owned(gathered.method),
            authority: owned(gathered.authority),
            path: owned(gathered.path),
            upgrade: owned(gathered.upgrade),
            tls_name,
            client_address,
            client_certificate,
            listener_port,
            cookies: Fields(cookies.collect()),
            headers: Fields(headers.collect()),
            query: Fields(query.collect()),
        };
        (Some(http), None)
    }

    /// The credentials among what was gathered, to be taken out of texts.
    pub(super) fn secrets<'a>(&'a self, gathered: &'a Gathered<'_>, credentials: &CredentialInputs) -> Secrets<'a> {
        self.redaction.secrets(gathered, credentials)
    }

    /// Takes these credentials, and what else may be secret, out of an outcome.
    pub(super) fn redact(&self, outcome: &mut Outcome, secrets: &Secrets<'_>) {
        self.redaction.outcome(outcome, secrets);
    }

    /// The same for an outcome of a record's inputs, in which credentials are replaced already.
    pub(super) fn redact_again(&self, outcome: &mut Outcome) {
        self.redaction.outcome(outcome, &self.redaction.no_secrets());
    }

    /// Whether it's among these what a key set says of a token.
    pub(super) fn knows(&self, tokens: &[Token], token: &str, verification: &Verification) -> bool {
        is_known(tokens, &self.redaction.token(token), verification.key_set.name())
    }

    /// What the host answered in a call, for running it again.
    pub(super) fn evidence(&self, verifications: &[Verification], call: &CallState) -> Vec<Token> {
        let mut tokens: Vec<Token> = Vec::new();
        if !self.is_on() {
            return tokens;
        }
        for look in &call.looks {
            let Some(verification) = verifications.get(look.verification) else { continue };
            let token = self.redaction.token(look.token.reveal());
            let key_set = verification.key_set.name();
            if is_known(&tokens, &token, key_set) {
                continue;
            }
            let refused = |refused| TokenAnswer::Refused(refused);
            let answer = match &look.verdict {
                Ok(_) | Err(Refusal::Expired | Refusal::NotYetValid | Refusal::Audience | Refusal::Issuer) => {
                    TokenAnswer::Claims(self.claims(look.token.reveal(), call))
                }
                Err(Refusal::Malformed(_)) => refused(Refused::Malformed),
                Err(Refusal::Algorithm(_)) => refused(Refused::Algorithm),
                Err(Refusal::UnknownKey) => refused(Refused::UnknownKey),
                Err(Refusal::Signature) => refused(Refused::Signature),
                Err(Refusal::CriticalHeader) => refused(Refused::CriticalHeader),
                Err(Refusal::Refused(_)) => refused(Refused::ByServer),
                Err(Refusal::Unavailable(why)) => TokenAnswer::Unavailable(why.clone()),
            };
            tokens.push(Token { token, key_set: key_set.to_owned(), answer });
        }
        tokens
    }

    /// All claims of a token: its own, and what the server said of it.
    fn claims(&self, token: &str, call: &CallState) -> serde_json::Value {
        let mut claims = claims_of(token);
        let asked = call.introspections.iter().find(|(known, _)| known == token);
        if let Some((_, answer)) = asked
            && let Ok(Introspection::Accepted(serde_json::Value::Object(said))) = &answer.value
        {
            said.iter().for_each(|(name, value)| {
                claims.insert(name.clone(), value.clone());
            });
        }
        serde_json::Value::Object(claims)
    }
}

// === impl Trail ===

impl Trail {
    pub fn new() -> Self {
        Self { began: Instant::now(), asked: Vec::new(), id: None, may_read: None }
    }

    /// A plugin is asked, by the cache or itself.
    pub fn asks(&mut self, plugin: &Arc<PluginName>) {
        self.asked.push(Arc::clone(plugin));
    }

    /// It wasn't in the cache: the chain gets a record. Answers its id.
    pub fn misses(&mut self, recorder: &Recorder) -> Option<RecordId> {
        if self.id.is_none() && recorder.is_on() {
            let number = recorder.next.fetch_add(1, Ordering::Relaxed);
            self.id = Some(RecordId(recorder.start | (number & 0xff_ffff_ffff)));
        }
        self.id
    }

    pub fn id(&self) -> Option<RecordId> {
        self.id
    }

    /// The plugin that was asked last.
    pub fn last(&self) -> Option<&PluginName> {
        self.asked.last().map(AsRef::as_ref)
    }

    pub fn asked(&self) -> Vec<String> {
        self.asked.iter().map(ToString::to_string).collect()
    }

    pub fn took_us(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

/// A fault as a record holds it.
pub(super) fn failed(fault: &Fault) -> Outcome {
    Outcome::Failed(crate::domain::record::Failed {
        by: fault.plugin.name.clone(),
        fault: fault.kind.code().to_owned(),
        message: fault.message.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_that_is_none_is_said_with_its_key() {
        let config = config::Records { inputs: vec!["methods".into()], ..Default::default() };
        let error = Recorder::new(&config).err().unwrap();
        assert!(error.starts_with("plugins.records.inputs: found \"methods\", expected method, authority"), "{error}");
    }

    #[test]
    fn all_cookies_at_once_are_no_input() {
        let config = config::Records { inputs: vec!["method".into(), "header Cookie".into()], ..Default::default() };
        let error = Recorder::new(&config).err().unwrap();
        assert_eq!(error, "plugins.records.inputs: found \"header cookie\", expected cookies by their names (`cookie <name>`)");
    }
}
