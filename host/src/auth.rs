//! Logging in: the gateway's own pages, tokens and cookies. The pipeline calls `Pages` for the paths that are the gateway's
//! own; `lib` registers the key of `Mint` as the key set `gateway`. Who may enter a session isn't decided here: that is the
//! plugins' alone, who read the cookie like any other.

mod attempts;
mod compare;
mod cookie;
mod form;
mod login;
mod mint;
mod origin;
mod pages;
mod way_back;

pub use self::{
    attempts::Attempts,
    compare::same_secret,
    cookie::LoginCookie,
    login::{Login, LoginServer, Outcome},
    mint::{Mint, MintError},
    pages::Pages,
};
