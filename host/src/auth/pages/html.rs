//! What the pages look like. Everything that comes from outside goes in as text: maud escapes it.

use maud::{DOCTYPE, Markup, PreEscaped, html};

/// Inline, and allowed by its digest alone.
pub(super) const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1b1f24;--quiet:#57606a;--paper:#fff;--back:#f3f4f6;--line:#d0d7de;--deed:#0b5cad;--bad:#b3261e}\
@media(prefers-color-scheme:dark){:root{--ink:#e6e8eb;--quiet:#9aa4af;--paper:#1c2128;--back:#12161b;--line:#3a424c;--deed:#6cb0ff;--bad:#ff8a80}}\
*{box-sizing:border-box}\
body{margin:0;background:var(--back);color:var(--ink);font:1rem/1.5 system-ui,sans-serif}\
main{max-width:44rem;margin:8vh auto;padding:1.5rem 2rem 2rem;background:var(--paper);border:1px solid var(--line);border-radius:.75rem}\
main.narrow{max-width:24rem}\
h1{font-size:1.4rem;margin:0 0 1rem;overflow-wrap:anywhere}\
label{display:block;margin:.75rem 0 .25rem}\
input{width:100%;padding:.5rem;font:inherit;color:inherit;background:var(--back);border:1px solid var(--line);border-radius:.4rem}\
button{margin-top:1rem;padding:.5rem 1rem;font:inherit;color:var(--paper);background:var(--deed);border:0;border-radius:.4rem;cursor:pointer}\
button.quiet{margin:0;padding:.25rem .75rem;color:var(--ink);background:none;border:1px solid var(--line)}\
:focus-visible{outline:2px solid var(--deed);outline-offset:2px}\
a{color:var(--deed)}\
ul{list-style:none;margin:1rem 0;padding:0}\
li{padding:.6rem 0;border-top:1px solid var(--line);overflow-wrap:anywhere}\
small,.quiet{color:var(--quiet)}\
.bad{color:var(--bad)}\
.row{display:flex;gap:1rem;justify-content:space-between;align-items:center;flex-wrap:wrap}\
.row h1{margin:0}\
hr{margin:1.5rem 0 .5rem;border:0;border-top:1px solid var(--line)}";

/// The form that people log in by.
pub(super) struct LoginPage<'a> {
    pub gateway: &'a str,
    pub problem: Option<&'a str>,
    /// A path of this gateway.
    pub back: &'a str,
    /// Whether there's a server that knows tokens and access keys.
    pub takes_tokens: bool,
    pub cookie_is_lost: bool,
}

/// The list of sessions.
pub(super) struct IndexPage<'a> {
    pub gateway: &'a str,
    /// What they're called; None for somebody unknown.
    pub person: Option<&'a str>,
    pub sessions: &'a [Listed],
    /// Where the list goes on.
    pub more: Option<&'a str>,
    pub problem: Option<&'a str>,
}

/// One line of the list.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Listed {
    pub link: String,
    pub name: String,
    /// `<session>`, or `<session>.<endpoint>`.
    pub segment: String,
    pub project: Option<String>,
}

// === impl LoginPage ===

impl LoginPage<'_> {
    pub fn render(&self) -> Markup {
        let (user, password) =
            if self.takes_tokens { ("User or access key", "Password or secret key") } else { ("User", "Password") };
        let content = html! {
            h1 { "Log in to " (self.gateway) }
            @if self.cookie_is_lost {
                p.bad role="alert" { "You came here without TLS, and the login is kept over TLS only. Use the https address." }
            }
            @if let Some(problem) = self.problem { p.bad role="alert" { (problem) } }
            form method="post" action="/login" {
                input type="hidden" name="return" value=(self.back);
                label for="user" { (user) }
                input #user name="user" autocomplete="username" autocapitalize="none" spellcheck="false" required autofocus;
                label for="password" { (password) }
                input #password name="password" type="password" autocomplete="current-password" required;
                button { "Log in" }
            }
            @if self.takes_tokens {
                hr;
                form method="post" action="/login" {
                    input type="hidden" name="return" value=(self.back);
                    label for="token" { "Or a token" }
                    input #token name="token" type="password" autocomplete="off" spellcheck="false" required;
                    button { "Log in with the token" }
                }
            }
        };
        document(&format!("Log in · {}", self.gateway), "narrow", &content)
    }
}

// === impl IndexPage ===

impl IndexPage<'_> {
    pub fn render(&self) -> Markup {
        let content = html! {
            div.row {
                h1 { (self.gateway) }
                @match self.person {
                    Some(person) => form.row method="post" action="/logout" {
                        span.quiet { (person) }
                        button.quiet { "Log out" }
                    },
                    None => a href="/login" { "Log in" },
                }
            }
            @if let Some(problem) = self.problem { p.bad role="alert" { (problem) } }
            @if self.sessions.is_empty() {
                p.quiet { @if self.person.is_some() { "There is no session here that you may enter." } @else { "There is no session here that everybody may enter." } }
            } @else {
                ul {
                    @for session in self.sessions {
                        li {
                            a href=(session.link) { (session.name) }
                            @if let Some(project) = &session.project { " " span.quiet { (project) } }
                            br;
                            small { (session.segment) }
                        }
                    }
                }
            }
            @if let Some(more) = self.more { p { a href=(more) rel="next" { "More sessions" } } }
        };
        document(self.gateway, "", &content)
    }
}

/// A page that only says something.
pub(super) fn message(gateway: &str, title: &str, text: &str) -> Markup {
    let content = html! { h1 { (title) } p { (text) } p { a href="/" { "To the list of sessions" } } };
    document(&format!("{title} · {gateway}"), "narrow", &content)
}

fn document(title: &str, width: &str, content: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="robots" content="noindex";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { main class=(width) { (content) } }
        }
    }
}
