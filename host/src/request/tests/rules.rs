//! What is decided and changed on the way: answers to strangers, headers, cookies, origins, hosts.

use std::sync::Arc;

use super::support::{Setup, allow, anonymous, forwarding, mirror, mirror_with, reason, run};
use crate::domain::{
    EndpointName,
    decision::{Authentication, Challenge, Forwarding, HeaderEdit, Routing},
};

/// A body's part of a message.
fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}

fn header<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let lines = answer.split("\r\n").take_while(|line| !line.is_empty());
    lines.filter_map(|line| line.split_once(": ")).find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

#[test]
fn only_the_gateway_speaks_for_itself_and_credentials_stay_here() {
    run(async {
        let running = Setup::new(mirror().await).start();
        let lines = "Connection: keep-alive, x-hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nProxy-Authorization: p\r\nProxy-Connection: q\r\n\
                     TE: gzip\r\nX-Wicketgate-User: forged\r\nX_Wicketgate_Role: forged\r\nX-Wicketgate_Groups: forged\r\n\
                     X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: gopher\r\nX_Forwarded_Host: forged\r\nForwarded: for=6.6.6.6\r\n\
                     X-Real-IP: 6.6.6.6\r\nX-Request-Id: forged\r\nX-Api-Key: secret\r\nAuthorization: Bearer app\r\n\
                     Cookie: a=1; gate=secret; gate_2=secret; b=2\r\nSec-Fetch-Mode: navigate\r\nX-Kept: yes\r\nRange: bytes=0-\r\n";
        let answer = running.get("/service/t1/p%20q?x=1&token=secret&to%6ben=secret&y=", lines).await;
        let seen = body(&answer);
        for gone in ["forged", "secret", "6.6.6.6", "gopher", "x-hop", "keep-alive", "proxy-", "te: "] {
            assert!(!seen.contains(gone), "{gone}: {seen}");
        }
        assert!(seen.starts_with("GET /p%20q?x=1&y= HTTP/1.1\r\n"), "{seen}");
        for kept in [
            "host: gate.test",
            "cookie: a=1; b=2",
            "authorization: Bearer app",
            "x-kept: yes",
            "range: bytes=0-",
            "x-forwarded-for: 127.0.0.1",
            "x-forwarded-proto: http",
            "x-forwarded-host: gate.test",
            "x-forwarded-prefix: /service/t1",
            "x-wicketgate-user: u1",
            "x-wicketgate-name: Ada",
            "x-wicketgate-groups: a,b",
            "x-request-id: ",
        ] {
            assert!(seen.contains(&format!("\r\n{kept}")), "{kept}: {seen}");
        }
    });
}

#[test]
fn an_authorization_of_ours_stays_here() {
    run(async {
        let mut setup = Setup::new(mirror().await);
        setup.authorization_is_ours = true;
        let Ok(Authentication::Allow(allowance)) = &mut setup.authentication else { unreachable!() };
        allowance.token = Some(crate::domain::Credential::new("ours"));
        let answer = setup.start().get("/service/t1/", "Authorization: Bearer ours\r\nCookie: gate=x\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 200") && !answer.contains("ours") && !answer.contains("cookie"), "{answer}");
    });
}

#[test]
fn trusted_proxies_are_believed() {
    run(async {
        let mut setup = Setup::new(mirror().await);
        setup.config.http.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap(), "10.0.0.0/8".parse().unwrap()];
        let running = setup.start();
        let lines = "X-Forwarded-For: 6.6.6.6, 192.0.2.7\r\nX-Forwarded-For: 10.1.1.1\r\nX-Forwarded-Proto: https\r\nX-Request-Id: abc-1\r\n";
        let seen = running.get("/service/t1/", lines).await;
        assert!(seen.contains("x-forwarded-for: 6.6.6.6, 192.0.2.7, 10.1.1.1, 127.0.0.1\r\n"), "{seen}");
        assert!(seen.contains("x-forwarded-proto: https\r\n") && seen.contains("x-request-id: abc-1\r\n"), "{seen}");
        assert_eq!(running.fixture.asked.lock().unwrap()[0].2, "192.0.2.7".parse::<std::net::IpAddr>().unwrap());
    });
}

#[test]
fn trusted_proxies_are_believed_in_the_standards_words() {
    run(async {
        let mut setup = Setup::new(mirror().await);
        setup.config.http.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
        let running = setup.start();
        let seen = running.get("/service/t1/", "Forwarded: for=\"[2001:db8::7]:4711\";proto=https\r\n").await;
        assert!(seen.contains("x-forwarded-for: [2001:db8::7]:4711, 127.0.0.1\r\n"), "{seen}");
        assert!(seen.contains("x-forwarded-proto: https\r\n") && !seen.contains("\nforwarded:"), "{seen}");
        assert_eq!(running.fixture.asked.lock().unwrap()[0].2, "2001:db8::7".parse::<std::net::IpAddr>().unwrap());
    });
}

#[test]
fn a_peer_that_speaks_for_clients_names_them_first_and_nobody_else_does() {
    run(async {
        let request = "PROXY TCP4 192.0.2.7 192.0.2.8 4711 80\r\nGET /service/t1/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        let mut setup = Setup::new(mirror().await);
        setup.config.http.proxy_protocol_from = vec!["127.0.0.0/8".parse().unwrap()];
        let running = setup.start();
        assert!(running.ask(request).await.contains("x-forwarded-for: 192.0.2.7\r\n"));
        let mut unnamed = running.client().await;
        unnamed.send("GET /service/t1/ HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!(unnamed.rest().await, "", "it's required");
        let stranger = Setup::new(mirror().await).start();
        assert!(stranger.ask(request).await.starts_with("HTTP/1.1 400"));
    });
}

#[test]
fn paths_reach_plugins_and_sessions_as_configured() {
    run(async {
        let running = Setup::new(mirror().await).start();
        assert!(running.get("/service/keep/lab?x", "").await.contains("GET /service/keep/lab?x HTTP/1.1"));
        assert!(!running.get("/service/keep/lab?x", "").await.contains("x-forwarded-prefix"));
        assert!(running.get("/service/t1.api//a", "").await.contains("GET //a HTTP/1.1"));
        assert!(running.ask("GET http://A/service/t1/a HTTP/1.1\r\nHost: a\r\n\r\n").await.contains("GET /a HTTP/1.1"));
        let asked: Vec<String> = running.fixture.asked.lock().unwrap().iter().map(|(path, ..)| path.clone()).collect();
        assert_eq!(asked, ["/lab", "/lab", "//a", "/a"]);
    });
}

#[test]
fn a_path_without_its_slash_is_completed() {
    run(async {
        let running = Setup::new(mirror().await).start();
        for session in ["t1", "nobody"] {
            let answer = running.get(&format!("/service/{session}?a=b"), "").await;
            assert!(answer.starts_with("HTTP/1.1 308"), "{answer}");
            assert_eq!(header(&answer, "location"), Some(format!("/service/{session}/?a=b").as_str()));
        }
        let post = "POST /service/t1 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
        assert!(running.ask(post).await.starts_with("HTTP/1.1 404"));
    });
}

/// An answer without what differs in each.
fn anonymized(answer: &str) -> String {
    let id = header(answer, "x-request-id").unwrap().to_owned();
    let date = header(answer, "date").unwrap().to_owned();
    answer.replace(&id, "ID").replace(&date, "DATE")
}

#[test]
fn strangers_learn_nothing_of_sessions() {
    run(async {
        let mirror = mirror().await;
        let rejected = || Routing::Reject { reason: reason(), message: None };
        let unauthenticated = || Routing::Unauthenticated(reason());
        for (authentication, routing, status) in [
            (allow(), rejected(), "404"),
            (allow(), unauthenticated(), "404"),
            (anonymous(), unauthenticated(), "401"),
            (Authentication::Deny(reason()), rejected(), "403"),
        ] {
            let mut setup = Setup::new(mirror);
            (setup.authentication, setup.routing) = (Ok(authentication), routing);
            let running = setup.start();
            for accept in ["*/*", "application/json", "image/png"] {
                let lines = format!("Accept: {accept}\r\n");
                let known = running.get("/service/t1/", &lines).await;
                assert_eq!(&known[9..12], status);
                for unknown in ["/service/nobody/", "/service/t1.nothing/", "/service/..../"] {
                    assert_eq!(anonymized(&known), anonymized(&running.get(unknown, &lines).await), "{unknown}");
                }
            }
        }
    });
}

#[test]
fn people_are_sent_to_log_in_and_programs_are_told() {
    run(async {
        let challenge = |login: Option<&str>| {
            Authentication::Challenge(Challenge {
                reason: reason(),
                login: login.map(Into::into),
                schemes: vec!["Bearer realm=\"x\"".parse().unwrap()],
            })
        };
        let address = mirror().await;
        let mut setup = Setup::new(address);
        setup.authentication = Ok(challenge(None));
        let running = setup.start();
        let answer = running.get("/service/t1/a?b=c&d", "Accept: text/html,*/*\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 302"), "{answer}");
        assert_eq!(header(&answer, "location"), Some("/login?return=%2Fservice%2Ft1%2Fa%3Fb%3Dc%26d"));
        assert_eq!(header(&answer, "cache-control"), Some("no-store"));
        for lines in ["Accept: */*\r\n", "Accept: text/html\r\nSec-Fetch-Mode: cors\r\n"] {
            let answer = running.get("/service/t1/", lines).await;
            assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
            assert_eq!(header(&answer, "www-authenticate"), Some("Bearer realm=\"x\""));
        }
        let mut setup = Setup::new(address);
        setup.authentication = Ok(challenge(Some("https://login.test/in?x=1")));
        setup.config.public_url = Some("https://gate.test/".to_owned().try_into().unwrap());
        let answer = setup.start().get("/service/t1/", "Accept: text/html\r\n").await;
        let expected = "https://login.test/in?x=1&return=https%3A%2F%2Fgate.test%2Fservice%2Ft1%2F";
        assert_eq!(header(&answer, "location"), Some(expected));
    });
}

#[test]
fn policies_change_headers_and_endpoints() {
    run(async {
        let address = mirror_with("X-Secret: 1\r\nX-Old: 1\r\n").await;
        let mut setup = Setup::new(address);
        let name = |name: &'static str| http::HeaderName::from_static(name);
        let forward = |endpoint: &str| Forwarding {
            endpoint: EndpointName::parse(endpoint),
            request_headers: vec![
                HeaderEdit::Set(name("x-set"), "1".parse().unwrap()),
                HeaderEdit::Append(name("x-kept"), "2".parse().unwrap()),
                HeaderEdit::Remove(name("x-removed")),
            ],
            response_headers: vec![HeaderEdit::Remove(name("x-secret")), HeaderEdit::Set(name("x-old"), "2".parse().unwrap())],
            ..forwarding()
        };
        setup.routing = Routing::Forward(Arc::new(forward("api")));
        let answer = setup.start().get("/service/t1/", "X-Kept: 1\r\nX-Removed: 1\r\n").await;
        assert!(answer.contains("x-kept: 1\r\nx-kept: 2\r\n") && answer.contains("x-set: 1\r\n"), "{answer}");
        assert!(!answer.contains("x-removed") && !answer.contains("x-secret"), "{answer}");
        assert_eq!(header(&answer, "x-old"), Some("2"));
        assert!(answer.contains("x-forwarded-prefix: /service/t1\r\n"), "the client's own prefix: {answer}");

        let mut setup = Setup::new(address);
        setup.routing = Routing::Forward(Arc::new(forward("missing")));
        assert!(setup.start().get("/service/t1/", "").await.starts_with("HTTP/1.1 503"));
    });
}

#[test]
fn a_session_sets_no_cookie_for_others() {
    run(async {
        for (cookie, passes) in [
            ("a=1", true),
            ("a=1; Path=/service/t1/", true),
            ("a=1; Path=/service/t1", true),
            ("a=1; path = /service/t1/x; HttpOnly", true),
            ("a=1; Path=relative", true),
            ("a=1; Path=/", false),
            ("a=1; Path=/service/t12", false),
            ("a=1; Path=/service/t1.api/", false),
            ("a=1; Path=/service/t1/; PATH=/", false),
            ("a=1; Domain=gate.test", false),
            ("a=1; domain =.test", false),
            ("gate=1", false),
            (" gate =1", false),
            ("gate_x=1; Path=/service/t1/", false),
            ("=gate=1", false),
            ("gate", false),
        ] {
            let lines: &'static str = Box::leak(format!("Set-Cookie: {cookie}\r\nSet-Cookie: ok=1\r\n").into());
            let answer = Setup::new(mirror_with(lines).await).start().get("/service/t1/", "").await;
            let set: Vec<&str> = answer.lines().filter_map(|line| line.strip_prefix("set-cookie: ")).collect();
            let expected = if passes { vec![cookie.trim(), "ok=1"] } else { vec!["ok=1"] };
            assert_eq!(set, expected, "{cookie}");
        }
    });
}

#[test]
fn a_session_speaks_for_its_own_pages_only() {
    run(async {
        let lines = "Service-Worker-Allowed: /\r\nClear-Site-Data: \"*\"\r\nAlt-Svc: h3=\":1\"\r\nConnection: x-hop\r\nX-Hop: 1\r\n\
                     Strict-Transport-Security: max-age=1\r\nReferrer-Policy: no-referrer\r\nX-Frame-Options: DENY\r\n\
                     X-Wicketgate-Decision: 1\r\n";
        let answer = Setup::new(mirror_with(lines).await).start().get("/service/t1/", "").await;
        for gone in ["service-worker-allowed", "clear-site-data", "alt-svc", "strict-transport-security", "x-hop", "connection"] {
            assert_eq!(header(&answer, gone), None, "{gone}");
        }
        assert_eq!(header(&answer, "x-wicketgate-decision"), None, "only the gateway says by which decisions somebody got in");
        assert_eq!(header(&answer, "referrer-policy"), Some("same-origin"));
        assert_eq!(header(&answer, "x-frame-options"), Some("DENY"));
    });
}

#[test]
fn redirects_to_the_upstream_itself_stay_on_the_route() {
    run(async {
        for (session, location, expected) in [
            ("t1", "/login?x=1", "/service/t1/login?x=1"),
            ("t1", "/service/t1/login", "/service/t1/login"),
            ("t1", "/service/t12", "/service/t1/service/t12"),
            ("t1", "http://gate.test/a", "/service/t1/a"),
            ("t1", "http://gate.test", "/service/t1/"),
            ("t1", "http://gate.test/service/t1/a", "/service/t1/a"),
            ("t1", "a/b", "a/b"),
            ("t1", "//other.test/", "//other.test/"),
            ("t1", "https://other.test/a", "https://other.test/a"),
            ("keep", "/service/keep/lab", "/service/keep/lab"),
            ("keep", "http://gate.test/service/keep/lab", "/service/keep/lab"),
        ] {
            let lines: &'static str = Box::leak(format!("Location: {location}\r\n").into());
            let answer = Setup::new(mirror_with(lines).await).start().get(&format!("/service/{session}/"), "").await;
            assert_eq!(header(&answer, "location"), Some(expected), "{location}");
        }
    });
}

#[test]
fn requests_that_enter_by_a_cookie_come_from_the_sessions_own_pages() {
    run(async {
        let mut setup = Setup::new(mirror().await);
        setup.config.public_url = Some("https://public.test/".to_owned().try_into().unwrap());
        let running = setup.start();
        let ours = "Origin: https://gate.test\r\n";
        let inside = "Referer: https://gate.test/service/t1/lab\r\n";
        let sibling = "Referer: https://public.test/service/t1.api/x?y#z\r\n";
        let navigates = "Sec-Fetch-Mode: navigate\r\n";
        let html = "Accept: text/html\r\n";
        let socket = "Connection: upgrade\r\nUpgrade: websocket\r\n";
        for (method, lines, passes) in [
            ("GET", vec![navigates], true),
            ("GET", vec![html], true),
            ("GET", vec![html, "Sec-Fetch-Mode: cors\r\n"], false),
            ("GET", vec![], false),
            ("GET", vec![inside], true),
            ("GET", vec![sibling], true),
            ("GET", vec![ours, inside], true),
            ("GET", vec!["Referer: https://gate.test/service/t12/\r\n"], false),
            ("GET", vec!["Referer: https://gate.test/service/t1\r\n"], false),
            ("GET", vec!["Referer: https://gate.test/service/t1/../t2/\r\n"], false),
            ("GET", vec!["Referer: https://evil.test/service/t1/\r\n"], false),
            ("GET", vec!["Referer: http://gate.test/service/t1/\r\n"], false),
            ("GET", vec![navigates, "Origin: https://evil.test\r\n"], false),
            ("POST", vec![navigates], false),
            ("POST", vec![navigates, ours, inside], true),
            ("POST", vec![inside, "Origin: null\r\n"], false),
            ("POST", vec![inside, "Origin: https://gate.test:444\r\n"], false),
            ("POST", vec![inside, "Origin: https://gate.test:443\r\n"], true),
            ("DELETE", vec![ours], false),
            ("GET", vec![socket, ours], true),
            ("GET", vec![socket, "Origin: https://evil.test\r\n"], false),
            ("GET", vec![socket], true),
        ] {
            let lines = lines.concat();
            let request = format!("{method} /service/t1/ HTTP/1.1\r\nHost: gate.test\r\nCookie: gate=x\r\n{lines}\r\n");
            let expected = if passes { "200" } else { "403" };
            assert_eq!(&running.ask(&request).await[9..12], expected, "{request}");
            // Without a cookie of ours the browser added nothing.
            let request = request.replace("gate=x", "own=x");
            assert_eq!(&running.ask(&request).await[9..12], "200", "{request}");
        }
    });
}

#[test]
fn a_token_beside_somebodys_cookie_is_no_proof_of_whose_page_it_is() {
    run(async {
        let mut setup = Setup::new(mirror().await);
        // Any token of ours, as one that has expired: it's kept from the session, and the cookie identified the visitor.
        setup.authorization_is_ours = true;
        let Ok(Authentication::Allow(allowance)) = &mut setup.authentication else { unreachable!() };
        allowance.token = Some(crate::domain::Credential::new("accepted"));
        let running = setup.start();
        let ask = async |lines: &str| {
            let request = format!("POST /service/t1/ HTTP/1.1\r\nHost: gate.test\r\nOrigin: http://evil.test\r\n{lines}\r\n\r\n");
            running.ask(&request).await[9..12].to_owned()
        };
        assert_eq!(ask("Cookie: gate=accepted\r\nAuthorization: Bearer expired").await, "403");
        assert_eq!(ask("Cookie: gate=other\r\nAuthorization: Bearer accepted").await, "200");
        assert_eq!(ask("Cookie: gate=other\r\nAuthorization: Basic x\r\nAuthorization: bearer accepted").await, "200");
        assert_eq!(ask("Cookie: gate=accepted\r\nAuthorization: Basic accepted").await, "403");
    });
}

#[test]
fn a_request_that_goes_round_is_ended() {
    run(async {
        let running = Setup::new(mirror().await).start();
        assert!(running.get("/service/t1/", "").await.contains("x-wicketgate-hops: 1\r\n"));
        assert!(running.get("/service/t1/", "X-Wicketgate-Hops: 3\r\n").await.contains("x-wicketgate-hops: 4\r\n"));
        for hops in ["4", "0", "", "-1", "1, 1", "99999999999999999999"] {
            let answer = running.get("/service/t1/", &format!("X-Wicketgate-Hops: {hops}\r\n")).await;
            assert!(answer.starts_with("HTTP/1.1 508 "), "{hops}: {answer}");
        }
    });
}

#[test]
fn with_a_base_domain_sessions_have_hosts_of_their_own() {
    run(async {
        let mut setup =
            Setup::new(mirror_with("Set-Cookie: a=1; Path=/\r\nService-Worker-Allowed: /\r\nX-Wicketgate-Decision: 1\r\n").await);
        setup.config.base_domain = Some("apps.test".to_owned().try_into().unwrap());
        setup.config.public_url = Some("http://gate.apps.test:8080".to_owned().try_into().unwrap());
        let running = setup.start();
        let host = |host: &str, target: &str, lines: &str| format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n");
        let answer = running.ask(&host("T1--api.apps.test:8080", "/login?x", "")).await;
        assert!(answer.contains("GET /login?x HTTP/1.1") && !answer.contains("x-forwarded-prefix"), "{answer}");
        assert_eq!(header(&answer, "set-cookie"), Some("a=1; Path=/"));
        assert_eq!(header(&answer, "service-worker-allowed"), Some("/"));
        assert_eq!(header(&answer, "x-wicketgate-decision"), None);
        assert!(running.ask(&host("nobody.apps.test", "/", "")).await.starts_with("HTTP/1.1 404"));
        assert!(running.ask(&host("t1.apps.test", "/_wicketgate/x", "")).await.starts_with("HTTP/1.1 404"));

        let html = "Accept: text/html\r\nCookie: gate=x\r\n";
        let answer = running.ask(&host("gate.apps.test:8080", "/service/t1/a?b", html)).await;
        assert_eq!(header(&answer, "location"), Some("http://t1.apps.test:8080/a?b"));
        let answer = running.ask(&host("gate.apps.test:8080", "/service/keep/a", html)).await;
        assert_eq!(header(&answer, "location"), Some("http://keep.apps.test:8080/service/keep/a"));
        assert!(running.ask(&host("gate.apps.test:8080", "/service/t1/a", "Accept: */*\r\n")).await.starts_with("HTTP/1.1 200"));

        let foreign = "Cookie: gate=x\r\nOrigin: http://keep.apps.test:8080\r\n";
        assert!(running.ask(&host("t1.apps.test:8080", "/", foreign)).await.starts_with("HTTP/1.1 403"));
        let own = "Cookie: gate=x\r\nOrigin: http://t1.apps.test:8080\r\n";
        assert!(running.ask(&host("t1.apps.test:8080", "/", own)).await.starts_with("HTTP/1.1 200"));
        let image = "Cookie: gate=x\r\nSec-Fetch-Site: same-site\r\nSec-Fetch-Mode: no-cors\r\n";
        assert!(running.ask(&host("t1.apps.test:8080", "/", image)).await.starts_with("HTTP/1.1 403"));

        let answer = running.ask(&host("gate.apps.test:8080", "/_wicketgate/to/t1/a?b", "")).await;
        assert_eq!(header(&answer, "location"), Some("http://t1.apps.test:8080/a?b"));
        assert!(running.ask(&host("gate.apps.test:8080", "/_wicketgate/to/evil.test%2f/a", "")).await.starts_with("HTTP/1.1 404"));
    });
}

#[test]
fn nobody_is_sent_to_a_host_that_does_not_see_the_login() {
    run(async {
        let mut setup = Setup::new(mirror().await);
        setup.config.base_domain = Some("apps.test".to_owned().try_into().unwrap());
        setup.config.public_url = Some("http://gate.test:8080".to_owned().try_into().unwrap());
        let running = setup.start();
        let request = "GET /service/t1/ HTTP/1.1\r\nHost: gate.test:8080\r\nAccept: text/html\r\nCookie: gate=x\r\n\r\n";
        assert!(running.ask(request).await.starts_with("HTTP/1.1 200"));
    });
}

#[test]
fn logging_in_leads_back_to_the_sessions_host() {
    run(async {
        let mut setup = Setup::new(mirror().await);
        setup.config.base_domain = Some("apps.test".to_owned().try_into().unwrap());
        setup.config.public_url = Some("https://gate.test".to_owned().try_into().unwrap());
        setup.authentication = Ok(anonymous());
        setup.routing = Routing::Unauthenticated(reason());
        let running = setup.start();
        for label in ["t1", "nobody"] {
            let request = format!("GET /a?b HTTP/1.1\r\nHost: {label}.apps.test\r\nAccept: text/html\r\n\r\n");
            let answer = running.ask(&request).await;
            let expected = format!("https://gate.test/login?return=%2F_wicketgate%2Fto%2F{label}%2Fa%3Fb");
            assert_eq!(header(&answer, "location"), Some(expected.as_str()));
        }
    });
}

#[test]
fn the_gateways_own_host_is_no_sessions() {
    run(async {
        let mut setup = Setup::new(mirror().await);
        setup.config.base_domain = Some("apps.test".to_owned().try_into().unwrap());
        setup.config.public_url = Some("http://t1.apps.test".to_owned().try_into().unwrap());
        let running = setup.start();
        let request = "GET /service/t1/a HTTP/1.1\r\nHost: t1.apps.test\r\nAccept: text/html\r\n\r\n";
        let answer = running.ask(request).await;
        assert!(answer.contains("GET /a HTTP/1.1") && answer.contains("x-forwarded-prefix: /service/t1"), "{answer}");
        let request = "GET /a HTTP/1.1\r\nHost: t1.apps.test\r\n\r\n";
        assert!(running.ask(request).await.starts_with("HTTP/1.1 404"), "an own page that doesn't exist");
    });
}
