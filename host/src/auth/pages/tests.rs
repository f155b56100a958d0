//! The pages as browsers meet them, before a plugin set that lets in whom a test says.

use std::{cell::Cell, collections::BTreeSet};

use http::Request;
use http_body_util::Full;

use super::*;
use crate::{
    config::parse,
    domain::{
        Attributes, Credential, Endpoint, EndpointId, EndpointName, Identity, Principal, Protocol, SessionId, SourceKind,
        UpstreamPath, facts::Asked as Question,
    },
    plugin::{Fault, FaultKind, PluginName},
    request::pages::Pending,
    route::RouteTable,
};

fn endpoint(segment: &str, name: &str) -> Endpoint {
    let (session, named) = segment.split_once('.').unwrap_or((segment, ""));
    Endpoint {
        id: EndpointId { session: SessionId::parse(session).unwrap(), name: EndpointName::parse(named).unwrap() },
        source: SourceKind::File,
        protocol: Protocol::Http,
        upstream: "10.0.0.1:80".parse().unwrap(),
        upstream_path: UpstreamPath::Strip,
        upstream_name: "127.0.0.1".into(),
        transport: Default::default(),
        listener_port: None,
        display_name: name.into(),
        host_label: None,
        attributes: Attributes::default(),
    }
}

/// Somebody whom the plugins know as `who`, and who may enter the endpoints named.
struct Somebody {
    routes: RouteTable,
    who: Result<Identity, ()>,
    may: BTreeSet<String>,
    asked: Cell<usize>,
}

impl Somebody {
    fn new(who: Option<&str>, endpoints: Vec<Endpoint>, may: &[&str]) -> Self {
        let principal = |name: &str| Principal {
            id: "u1".into(),
            name: Some(name.into()),
            company: None,
            role: None,
            groups: Vec::new(),
            claims: Attributes::default(),
        };
        let who = Ok(who.map_or(Identity::Anonymous, |name| Identity::Principal(Arc::new(principal(name)))));
        let may = may.iter().map(|segment| (*segment).to_owned()).collect();
        Self { routes: RouteTable::from_iter(endpoints), who, may, asked: Cell::new(0) }
    }
}

impl Visitor for Somebody {
    fn routes(&self) -> &RouteTable {
        &self.routes
    }

    fn identity(&self) -> Pending<'_, Result<Identity, Fault>> {
        let plugin = Arc::new(PluginName { name: "cookie-auth".into(), digest: "0".into() });
        let fault = Fault::new(&plugin, FaultKind::Trap, "hush");
        Box::pin(std::future::ready(self.who.clone().map_err(|()| fault)))
    }

    fn may_enter<'a>(&'a self, endpoint: &'a Endpoint) -> Pending<'a, bool> {
        self.asked.set(self.asked.get() + 1);
        Box::pin(std::future::ready(self.may.contains(&endpoint.id.segment())))
    }
}

/// Knows one token, and `eve` by her password.
struct Server;

impl LoginServer for Server {
    fn login(&self, user: String, _: Credential, _: u64) -> Question<Option<Credential>> {
        Box::pin(async move { if user == "down" { Err("refused".into()) } else { Ok(None) } })
    }

    fn check(&self, token: Credential) -> Question<bool> {
        Box::pin(async move { Ok(token.reveal().starts_with("good")) })
    }
}

const CONFIG: &str = "{name: gate-1, login: {attempts_per_minute: 2, users: [{id: ada, password: right}]}}";

fn pages(config: &str, server: Option<Arc<dyn LoginServer>>) -> Pages {
    let config = parse(config).unwrap().config;
    Pages::new(&config, Arc::new(Mint::new(&config).unwrap()), server)
}

struct Answer {
    status: u16,
    headers: http::HeaderMap,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
    }
}

async fn ask(pages: &Pages, request: http::request::Builder, body: &str, visitor: Option<&dyn Visitor>) -> Option<Answer> {
    let (parts, body) =
        request.header("host", "127.0.0.1:8080").body(Full::new(Bytes::from(body.to_owned()))).unwrap().into_parts();
    let asked = Asked { parts: &parts, client: IpAddr::from([10, 0, 0, 1]), is_secure: false };
    let response = pages.respond(asked, body, visitor).await?;
    let (parts, body) = response.into_parts();
    assert_eq!(parts.headers["cache-control"], "no-store", "every answer");
    assert!(parts.headers["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'; style-src 'sha256-"));
    let body = String::from_utf8(body.to_vec()).unwrap();
    assert!(!body.contains("<script") && !body.contains(" style=") && !body.contains("javascript:"), "{body}");
    Some(Answer { status: parts.status.as_u16(), headers: parts.headers, body })
}

async fn post(pages: &Pages, path: &str, form: &str, headers: &[(&str, &str)]) -> Answer {
    let request = Request::post(path).header("content-type", "application/x-www-form-urlencoded");
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    ask(pages, request, form, None).await.unwrap()
}

async fn get(pages: &Pages, target: &str, visitor: Option<&dyn Visitor>) -> Answer {
    ask(pages, Request::get(target), "", visitor).await.unwrap()
}

#[tokio::test]
async fn logging_in_leads_back_with_a_cookie() {
    let pages = pages(CONFIG, None);
    let form = get(&pages, "/login?return=%2Fservice%2Ft1%2Flab%3Fa%3D1%26b", None).await;
    assert_eq!(form.status, 200);
    assert!(form.body.contains(r#"name="return" value="/service/t1/lab?a=1&amp;b""#), "{}", form.body);
    let answer = post(&pages, "/login", "user=ada&password=right&return=%2Fservice%2Ft1%2Flab%3Fa%3D1%26b", &[]).await;
    assert_eq!((answer.status, answer.header("location")), (303, "/service/t1/lab?a=1&b"));
    let cookie = answer.header("set-cookie");
    assert!(cookie.starts_with("wicketgate_session=ey") && cookie.contains("; HttpOnly; SameSite=Lax"), "{cookie}");
}

#[tokio::test]
async fn it_never_leads_elsewhere() {
    let pages = pages(CONFIG, None);
    for back in ["https%3A%2F%2Fevil", "%2F%2Fevil", "%2F%5Cevil", "%2F%09%2Fevil", "%252Fevil", "%2F%250d%250aX%3A1"] {
        let form = get(&pages, &format!("/login?return={back}"), None).await;
        assert!(form.body.contains(r#"name="return" value="/""#), "{back}: {}", form.body);
        let answer = post(&pages, "/login", &format!("user=ada&password=right&return={back}"), &[]).await;
        assert_eq!((answer.status, answer.header("location")), (303, "/"), "{back}");
    }
}

#[tokio::test]
async fn what_was_typed_is_never_shown_again() {
    let pages = pages(CONFIG, Some(Arc::new(Server)));
    let answer = post(&pages, "/login", "user=%3Cb%3Ehush&password=hush&return=%2F%22%3E%3Cb%3E", &[]).await;
    assert_eq!(answer.status, 403);
    assert!(!answer.body.contains("hush") && !answer.body.contains("<b>"), "{}", answer.body);
    assert!(answer.header("set-cookie").is_empty());
}

#[tokio::test]
async fn every_failure_has_its_answer() {
    let pages = pages(CONFIG, Some(Arc::new(Server)));
    assert_eq!(post(&pages, "/login", "user=ada", &[]).await.status, 400);
    assert_eq!(post(&pages, "/login", "user=down&password=x", &[]).await.status, 503);
    assert_eq!(post(&pages, "/login", "user=ada&password=x", &[]).await.status, 403);
    let third = post(&pages, "/login", "user=ada&password=right", &[]).await;
    assert_eq!(third.status, 429);
    assert!((1..=61).contains(&third.header("retry-after").parse::<u64>().unwrap()));
    let other = ask(&pages, Request::post("/login").header("content-type", "text/plain"), "a", None).await.unwrap();
    assert_eq!(other.status, 415);
    for (path, method, allowed) in [("/", "POST", "GET, HEAD"), ("/login", "PUT", "GET, HEAD, POST"), ("/logout", "GET", "POST")] {
        let answer = ask(&pages, Request::builder().method(method).uri(path), "", None).await.unwrap();
        assert_eq!((answer.status, answer.header("allow")), (405, allowed), "{path}");
    }
    assert!(ask(&pages, Request::get("/nothing"), "", None).await.is_none());
}

#[tokio::test]
async fn a_token_of_the_servers_becomes_the_cookie() {
    let pages = pages(CONFIG, Some(Arc::new(Server)));
    let answer = post(&pages, "/login", "token=+good.token+", &[]).await;
    assert!(answer.header("set-cookie").starts_with("wicketgate_session=good.token; "), "{:?}", answer.headers);
    let long = format!("token=good{}", "a".repeat(5000));
    assert_eq!(post(&pages, "/login", &long, &[]).await.status, 400);
}

#[tokio::test]
async fn other_sites_can_log_nobody_in_or_out() {
    let pages = pages(CONFIG, None);
    for path in ["/login", "/logout"] {
        for headers in [[("origin", "https://evil.example")], [("sec-fetch-site", "cross-site")], [("origin", "null")]] {
            let answer = post(&pages, path, "user=ada&password=right", &headers).await;
            assert_eq!((answer.status, answer.header("set-cookie")), (403, ""), "{path} {headers:?}");
        }
    }
    let answer = post(&pages, "/logout", "", &[("origin", "http://127.0.0.1:8080")]).await;
    assert_eq!((answer.status, answer.header("location")), (303, "/"));
    assert!(answer.header("set-cookie").starts_with("wicketgate_session=; Max-Age=0; "));
}

#[tokio::test]
async fn a_cookie_that_a_browser_would_drop_is_said() {
    let secure = pages("{public_url: 'https://gate.example.org'}", None);
    let request = |host: &str| Request::get("/login").header("host", host.to_owned());
    let (parts, ()) = request("gate.example.org").body(()).unwrap().into_parts();
    for (is_secure, warned) in [(false, true), (true, false)] {
        let asked = Asked { parts: &parts, client: IpAddr::from([10, 0, 0, 1]), is_secure };
        let body = secure.respond(asked, Full::new(Bytes::new()), None).await.unwrap().into_body();
        assert_eq!(String::from_utf8_lossy(&body).contains("without TLS"), warned);
    }
}

#[tokio::test]
async fn the_list_holds_what_the_plugins_admit_and_nothing_else() {
    let endpoints =
        || vec![endpoint("t2", "Zebra"), endpoint("t1", "<b>apes</b>"), endpoint("t1.api", "apes"), endpoint("t3", "hidden")];
    let pages = pages(CONFIG, None);
    let ada = Somebody::new(Some("Ada <L.>"), endpoints(), &["t1", "t1.api", "t2"]);
    let page = get(&pages, "/", Some(&ada)).await;
    assert_eq!(page.status, 200);
    let links: Vec<&str> = page.body.split("<li><a href=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert_eq!(links, ["/service/t1/", "/service/t1.api/", "/service/t2/"], "by name");
    assert!(page.body.contains("&lt;b&gt;apes&lt;/b&gt;") && page.body.contains("Ada &lt;L.&gt;") && !page.body.contains("hidden"));
    assert!(page.body.contains("action=\"/logout\""));

    let nobody = Somebody::new(None, endpoints(), &["t2"]);
    let page = get(&pages, "/", Some(&nobody)).await;
    assert!(
        page.body.contains("/service/t2/") && !page.body.contains("t1") && page.body.contains("href=\"/login\""),
        "{}",
        page.body
    );
}

#[tokio::test]
async fn a_gateway_that_cannot_decide_lists_nothing() {
    let pages = pages(CONFIG, None);
    assert_eq!(get(&pages, "/", None).await.status, 503);
    let mut faulty = Somebody::new(None, vec![endpoint("t1", "a")], &["t1"]);
    faulty.who = Err(());
    let page = get(&pages, "/", Some(&faulty)).await;
    assert_eq!(page.status, 503);
    assert!(!page.body.contains("t1") && !page.body.contains("hush"), "{}", page.body);
}

#[tokio::test]
async fn a_long_list_comes_in_pages_and_each_asks_a_bounded_number_of_times() {
    let endpoints: Vec<Endpoint> = (0..500).map(|number| endpoint(&format!("t{number:03}"), &format!("n{number:03}"))).collect();
    let admitted: Vec<String> = (0..500).filter(|number| number % 7 == 0).map(|number| format!("t{number:03}")).collect();
    let somebody = Somebody::new(Some("ada"), endpoints, &admitted.iter().map(String::as_str).collect::<Vec<_>>());
    let pages = pages(CONFIG, None);
    let (mut target, mut seen, mut turns) = ("/".to_owned(), Vec::new(), 0);
    loop {
        somebody.asked.set(0);
        let page = get(&pages, &target, Some(&somebody)).await;
        assert!(somebody.asked.get() <= 200, "{}", somebody.asked.get());
        seen.extend(page.body.split("/service/").skip(1).filter_map(|rest| rest.split('/').next()).map(str::to_owned));
        turns += 1;
        let Some(next) = page.body.split("<a href=\"/?after=").nth(1).and_then(|rest| rest.split('"').next()) else { break };
        target = format!("/?after={next}");
    }
    assert_eq!((seen, turns), (admitted, 3));
    let gone = get(&pages, "/?after=gone", Some(&somebody)).await;
    assert!(gone.body.contains("/service/t000/"), "begins anew");
}

#[tokio::test]
async fn with_a_base_domain_links_lead_to_the_sessions_own_hosts() {
    let pages = pages("{public_url: 'https://gate.apps.org:8443', base_domain: apps.org}", None);
    let somebody =
        Somebody::new(None, vec![endpoint("t1", "a"), endpoint("t1.api", "b"), endpoint("-t", "c")], &["t1", "t1.api", "-t"]);
    let page = get(&pages, "/", Some(&somebody)).await;
    for link in ["https://t1.apps.org:8443/", "https://t1--api.apps.org:8443/", "/service/-t/"] {
        assert!(page.body.contains(&format!("<a href=\"{link}\">")), "{link}: {}", page.body);
    }
    let policy = page.header("content-security-policy");
    assert!(
        policy.contains("form-action 'self' https://*.apps.org:8443;") && policy.ends_with("frame-ancestors 'none'"),
        "{policy}"
    );
}
