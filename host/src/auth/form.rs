//! What people sent by the login page.

use std::{pin::pin, time::Duration};

use http::{HeaderMap, header};
use http_body_util::{BodyExt, Limited};

use crate::domain::Credential;

/// A token of 16 KiB, escaped threefold at worst where it isn't base64, with everything else: more is no login.
const LARGEST: usize = 32 * 1024;

/// The fields that are known; the last of a name counts, as in browsers there's only one.
#[derive(Debug, Default)]
pub(super) struct Form {
    pub user: String,
    pub password: Option<Credential>,
    pub token: Option<Credential>,
    pub way_back: Option<String>,
}

/// Why there's no form, for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadForm {
    MediaType,
    TooLarge,
    Slow,
    Broken,
}

// === impl Form ===

impl Form {
    /// Reads a whole body within the timeout.
    ///
    /// # Errors
    /// When it isn't a form, or too long, or too long in coming.
    pub async fn read<B>(headers: &HeaderMap, body: B, timeout: Duration) -> Result<Self, BadForm>
    where
        B: http_body::Body,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !media_type.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded")) {
            return Err(BadForm::MediaType);
        }
        let collected = tokio::time::timeout(timeout, pin!(Limited::new(body, LARGEST)).collect()).await;
        match collected {
            Ok(Ok(body)) => Ok(Self::parse(&body.to_bytes())),
            Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => Err(BadForm::TooLarge),
            Ok(Err(_)) => Err(BadForm::Broken),
            Err(_) => Err(BadForm::Slow),
        }
    }

    fn parse(body: &[u8]) -> Self {
        let mut form = Self::default();
        for (name, text) in url::form_urlencoded::parse(body) {
            let secret = || Some(text.trim()).filter(|text| !text.is_empty()).map(Credential::new);
            match &*name {
                "user" => form.user = text.trim().to_owned(),
                // Spaces may belong to a password.
                "password" => form.password = Some(&*text).filter(|text| !text.is_empty()).map(Credential::new),
                "token" => form.token = secret(),
                "return" => form.way_back = Some(text.into_owned()),
                _ => {}
            }
        }
        form
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::Full;

    use super::*;

    async fn read(media_type: &str, body: &str) -> Result<Form, BadForm> {
        let headers = [(header::CONTENT_TYPE, media_type.parse().unwrap())].into_iter().collect();
        Form::read(&headers, Full::new(bytes::Bytes::from(body.to_owned())), Duration::from_secs(60)).await
    }

    #[tokio::test]
    async fn a_form_is_read_as_browsers_send_it() {
        let form =
            read("application/x-www-form-urlencoded; charset=UTF-8", "user=+ada&password=+p%26+&return=%2Fa&token=&other=1").await;
        let form = form.unwrap();
        assert_eq!((form.user.as_str(), form.way_back.as_deref()), ("ada", Some("/a")));
        assert_eq!(form.password, Some(Credential::new(" p& ")));
        assert_eq!(form.token, None);
        assert!(!format!("{form:?}").contains("p&"));
    }

    #[tokio::test]
    async fn what_is_no_form_is_refused() {
        assert_eq!(read("application/json", "{}").await.unwrap_err(), BadForm::MediaType);
        assert_eq!(read("multipart/form-data", "").await.unwrap_err(), BadForm::MediaType);
        let large = format!("user={}", "a".repeat(LARGEST));
        assert_eq!(read("application/x-www-form-urlencoded", &large).await.unwrap_err(), BadForm::TooLarge);
    }

    #[tokio::test]
    async fn a_form_that_never_ends_is_given_up() {
        let headers = [(header::CONTENT_TYPE, "application/x-www-form-urlencoded".parse().unwrap())].into_iter().collect();
        let endless = http_body_util::StreamBody::new(futures_util::stream::pending::<
            Result<http_body::Frame<bytes::Bytes>, std::io::Error>,
        >());
        assert_eq!(Form::read(&headers, endless, Duration::ZERO).await.unwrap_err(), BadForm::Slow);
    }
}
