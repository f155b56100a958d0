//! One token, tried against every key set.

use alloc::string::String;

use wicketgate_plugin::Reason;
use wicketgate_plugin::jwt::{Jwt, Verified, VerifyError};

/// What the key sets together say about a token.
#[derive(Debug, PartialEq, Eq)]
pub enum Judgement {
    Accepted(Verified),
    Refused(Reason),
    /// A key set that might have accepted it couldn't be asked.
    Unavailable(String),
}

/// Asks the key sets in order, until one accepts.
///
/// A key set that isn't there leaves a token undecided, unless another one knows the token as its own (the signature was
/// right, and it has expired or is for somebody else) or no key at all could make it good.
pub fn judge(token: &str, key_sets: usize, jwt: &impl Jwt) -> Judgement {
    let mut worst: Option<VerifyError> = None;
    let mut unavailable = None;
    for number in 0..key_sets {
        match jwt.verify(number, token) {
            Ok(verified) => return Judgement::Accepted(verified),
            Err(VerifyError::Unavailable(why)) => unavailable = unavailable.or(Some(why)),
            Err(error) if worst.as_ref().is_none_or(|worst| weight(&error) > weight(worst)) => worst = Some(error),
            Err(_) => {}
        }
    }
    match (worst, unavailable) {
        (Some(error), _) if weight(&error) >= CERTAIN => Judgement::Refused(reason(error)),
        (_, Some(why)) => Judgement::Unavailable(why),
        (Some(error), None) => Judgement::Refused(reason(error)),
        (None, None) => Judgement::Refused(Reason::new("token-refused")),
    }
}

/// From here on, no other key set would accept the token.
const CERTAIN: u8 = 5;

/// How much an error says about the token. With two key sets one of them always says "signature" about the other's tokens:
/// what the other says is the truth.
fn weight(error: &VerifyError) -> u8 {
    match error {
        VerifyError::Undeclared | VerifyError::Unavailable(_) => 0,
        VerifyError::Algorithm(_) => 1,
        VerifyError::UnknownKey => 2,
        VerifyError::Signature => 3,
        // The server said no; a token of another key set may still be good.
        VerifyError::Refused(_) => 4,
        VerifyError::Malformed(_) | VerifyError::CriticalHeader => CERTAIN,
        VerifyError::Audience | VerifyError::Issuer => 6,
        VerifyError::NotYetValid | VerifyError::Expired => 7,
    }
}

fn reason(error: VerifyError) -> Reason {
    let code = match &error {
        VerifyError::Undeclared | VerifyError::Unavailable(_) | VerifyError::Refused(_) => "token-refused",
        VerifyError::Malformed(_) => "token-malformed",
        VerifyError::Algorithm(_) => "token-algorithm",
        VerifyError::UnknownKey => "token-unknown-key",
        VerifyError::Signature => "token-signature",
        VerifyError::Expired => "token-expired",
        VerifyError::NotYetValid => "token-not-yet-valid",
        VerifyError::Audience => "token-audience",
        VerifyError::Issuer => "token-issuer",
        VerifyError::CriticalHeader => "token-critical-header",
    };
    match error {
        VerifyError::Malformed(detail) | VerifyError::Algorithm(detail) | VerifyError::Refused(detail) => {
            Reason::with_detail(code, detail)
        }
        _ => Reason::new(code),
    }
}
