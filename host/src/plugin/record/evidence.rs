//! What key sets said of one subject's tokens.

use std::sync::Arc;

use crate::domain::record::Token;

/// What was said in the call that one decision comes from: kept beside the decision, so that what follows from it can be recorded
/// whole. None where nothing was asked, or nothing is recorded.
pub type Said = Option<Arc<[Token]>>;

/// What was said in all calls of a chain. Nearly always it's one call's, and then nothing is allocated.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    first: Said,
    more: Vec<Arc<[Token]>>,
}

// === impl Evidence ===

impl Evidence {
    pub fn add(&mut self, said: Said) {
        match (&self.first, said) {
            (None, said) => self.first = said,
            (Some(_), said) => self.more.extend(said),
        }
    }

    /// Each token once for each key set.
    pub fn tokens(&self) -> Vec<Token> {
        let mut tokens: Vec<Token> = Vec::new();
        for token in self.first.iter().chain(&self.more).flat_map(|said| said.iter()) {
            if !is_known(&tokens, &token.token, &token.key_set) {
                tokens.push(token.clone());
            }
        }
        tokens
    }
}

/// Whether it's among these what a key set says of a token.
pub fn is_known(tokens: &[Token], token: &str, key_set: &str) -> bool {
    tokens.iter().any(|known| known.token == token && known.key_set == key_set)
}
