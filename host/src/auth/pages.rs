//! The gateway's own pages: log in, log out, and the list of sessions that somebody may enter. They work without scripts,
//! nothing in them is stored by anybody, and what sessions wrote in them is text and nothing else.

mod headers;
mod html;
mod index;

#[cfg(test)]
mod tests;

use std::{net::IpAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header, request::Parts};
use maud::Markup;

use self::headers::PageHeaders;
use super::{
    Login, LoginCookie, LoginServer, Mint, Outcome,
    form::{BadForm, Form},
    origin::is_own_form,
    way_back::way_back,
};
use crate::{
    config::Config,
    request::{Body, OwnPages, PageRequest, Visitor, pages::Pending},
};

/// Answers for the gateway itself. One for all workers.
pub struct Pages {
    name: String,
    public_origin: String,
    login: Login,
    cookie: LoginCookie,
    headers: PageHeaders,
    hosts: index::Hosts,
    form_timeout: Duration,
}

/// A request for one of the pages.
pub(super) struct Asked<'a> {
    pub parts: &'a Parts,
    pub client: IpAddr,
    /// Whether the client came over TLS, as far as is known.
    pub is_secure: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Page {
    Index,
    Login,
    Logout,
}

// === impl Pages ===

impl Pages {
    /// The pages under a configuration; `server` is who knows people besides the local users.
    pub fn new(config: &Config, mint: Arc<Mint>, server: Option<Arc<dyn LoginServer>>) -> Self {
        Self {
            name: config.name.clone(),
            public_origin: config.public_origin(),
            login: Login::new(config, mint, server),
            cookie: LoginCookie::new(config),
            headers: PageHeaders::new(config),
            hosts: index::Hosts::new(config),
            form_timeout: Duration::from_millis(config.http.timeouts.request_head_ms),
        }
    }

    pub fn register(&self, registry: &mut prometheus_client::registry::Registry) {
        self.login.register(registry);
    }

    /// None: there's no such page.
    pub(super) async fn respond<B>(&self, asked: Asked<'_>, body: B, visitor: Option<&dyn Visitor>) -> Option<Response<Bytes>>
    where
        B: http_body::Body,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let page = Page::at(asked.parts.uri.path())?;
        let response = match (page, &asked.parts.method) {
            (Page::Index, &Method::GET | &Method::HEAD) => self.index(&asked, visitor).await,
            (Page::Login, &Method::GET | &Method::HEAD) => {
                let asked_back = query(asked.parts, "return");
                self.login_page(&asked, StatusCode::OK, None, way_back(asked_back.as_deref()))
            }
            (Page::Login, &Method::POST) => self.log_in(&asked, body).await,
            (Page::Logout, &Method::POST) => self.log_out(&asked),
            (page, _) => self.method_refused(page),
        };
        Some(response)
    }

    async fn log_in<B>(&self, asked: &Asked<'_>, body: B) -> Response<Bytes>
    where
        B: http_body::Body,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        if !is_own_form(asked.parts, &self.public_origin) {
            return self.foreign_form();
        }
        let form = match Form::read(&asked.parts.headers, body, self.form_timeout).await {
            Ok(form) => form,
            Err(bad) => {
                let (status, sentence) = bad_form(bad);
                return self.login_page(asked, status, Some(sentence), "/");
            }
        };
        let back = way_back(form.way_back.as_deref());
        let again = |status, sentence| self.login_page(asked, status, Some(sentence), back);
        match self.login.attempt(&form, asked.client).await {
            Outcome::LoggedIn(token) => match self.cookie.set(&token) {
                Some(cookie) => self.see_other(back, Some(cookie)),
                None => again(StatusCode::BAD_REQUEST, "This token is too long for a browser's cookie."),
            },
            Outcome::Refused => again(StatusCode::FORBIDDEN, "That isn't right. Check what you typed and try again."),
            Outcome::Incomplete => again(StatusCode::BAD_REQUEST, "Fill in a user and a password, or a token."),
            Outcome::Unavailable => {
                again(StatusCode::SERVICE_UNAVAILABLE, "The server that knows you can't be reached. Try again soon.")
            }
            Outcome::TooMany(too_many) => {
                let mut response = again(StatusCode::TOO_MANY_REQUESTS, "Too many attempts. Wait a minute and try again.");
                let seconds = too_many.retry_after.as_secs() + 1;
                response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
                response
            }
        }
    }

    fn log_out(&self, asked: &Asked<'_>) -> Response<Bytes> {
        if !is_own_form(asked.parts, &self.public_origin) {
            return self.foreign_form();
        }
        self.see_other("/", self.cookie.remove())
    }

    fn login_page(&self, asked: &Asked<'_>, status: StatusCode, problem: Option<&str>, back: &str) -> Response<Bytes> {
        let login = html::LoginPage {
            gateway: &self.name,
            problem,
            back,
            takes_tokens: self.login.has_server(),
            // Browsers drop such a cookie, and the person would be asked again and again.
            cookie_is_lost: self.cookie.is_secure && !asked.is_secure && !is_localhost(asked.parts),
        };
        self.html(status, &login.render())
    }

    fn foreign_form(&self) -> Response<Bytes> {
        let text = "This form was not sent from a page of the gateway. Open the gateway itself and try there.";
        self.html(StatusCode::FORBIDDEN, &html::message(&self.name, "Not from here", text))
    }

    fn method_refused(&self, page: Page) -> Response<Bytes> {
        let (allowed, text) = match page {
            Page::Index => ("GET, HEAD", "This page can only be looked at."),
            Page::Login => ("GET, HEAD, POST", "This page can only be looked at and filled in."),
            Page::Logout => ("POST", "To log out, use the button on the list of sessions."),
        };
        let mut response = self.html(StatusCode::METHOD_NOT_ALLOWED, &html::message(&self.name, "Not in this way", text));
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
        response
    }

    fn see_other(&self, path: &str, cookie: Option<HeaderValue>) -> Response<Bytes> {
        let mut response = self.html(StatusCode::SEE_OTHER, &html::message(&self.name, "One moment", "The page is further on."));
        let headers = response.headers_mut();
        headers.insert(header::LOCATION, HeaderValue::try_from(path).unwrap_or(HeaderValue::from_static("/")));
        if let Some(cookie) = cookie {
            headers.insert(header::SET_COOKIE, cookie);
        }
        response
    }

    fn html(&self, status: StatusCode, page: &Markup) -> Response<Bytes> {
        let mut response = Response::new(Bytes::from(page.0.clone()));
        *response.status_mut() = status;
        self.headers.put(response.headers_mut());
        response
    }
}

impl OwnPages for Pages {
    fn answer<'a>(&'a self, request: PageRequest<'a>) -> Pending<'a, Option<Response<Body>>> {
        let PageRequest { parts, body, client, is_secure, request_id, visitor } = request;
        Box::pin(async move {
            let mut response = self.respond(Asked { parts, client, is_secure }, body, visitor).await?;
            if let Ok(request_id) = HeaderValue::from_str(request_id) {
                response.headers_mut().insert("x-request-id", request_id);
            }
            Some(response.map(Body::from))
        })
    }
}

// === impl Page ===

impl Page {
    fn at(path: &str) -> Option<Self> {
        match path {
            "/" => Some(Self::Index),
            "/login" => Some(Self::Login),
            "/logout" => Some(Self::Logout),
            _ => None,
        }
    }
}

fn bad_form(bad: BadForm) -> (StatusCode, &'static str) {
    match bad {
        BadForm::MediaType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "Expected a form (application/x-www-form-urlencoded)."),
        BadForm::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "That is too long for a login."),
        BadForm::Slow => (StatusCode::REQUEST_TIMEOUT, "The form didn't arrive in time. Try again."),
        BadForm::Broken => (StatusCode::BAD_REQUEST, "The form didn't arrive whole. Try again."),
    }
}

/// The first value of a query parameter.
fn query(parts: &Parts, name: &str) -> Option<String> {
    let query = parts.uri.query()?;
    url::form_urlencoded::parse(query.as_bytes()).find(|(known, _)| known == name).map(|(_, text)| text.into_owned())
}

/// Browsers keep `Secure` cookies there without TLS.
fn is_localhost(parts: &Parts) -> bool {
    let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    matches!(name, "localhost" | "127.0.0.1" | "[::1]") || name.ends_with(".localhost")
}
