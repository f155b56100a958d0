use super::*;

/// What a session's owner would write to reach what isn't theirs. Rules: the default networks, and everything.
const REFUSED: &[&str] = &[
    // loopback, in all of `inet_aton`'s spellings
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "127.255.255.254",
    "2130706433",
    "017700000001",
    "0x7f000001",
    "0X7F000001",
    "0177.0.0.1",
    "0x7f.1",
    "0x7f.0.0.0x1",
    "00000177.1",
    "127.0.0.1.",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "a.localhost",
    "::1",
    "[::1]",
    "0:0:0:0:0:0:0:1",
    "0000:0000:0000:0000:0000:0000:0000:0001",
    // IPv4 inside IPv6
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
    "[::ffff:127.0.0.1]",
    "::ffff:0:127.0.0.1",
    "::127.0.0.1",
    "::7f00:1",
    "64:ff9b::127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::10.0.0.1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "fd00::5efe:10.0.0.1",
    "::ffff:169.254.169.254",
    // unspecified
    "0",
    "0.0.0.0",
    "0x0",
    "0x",
    "00",
    "0.1.2.3",
    "::",
    "[::]",
    "::ffff:0.0.0.0",
    // link-local and metadata
    "169.254.169.254",
    "2852039166",
    "0xa9fea9fe",
    "0251.0376.0251.0376",
    "169.254.43518",
    "169.254.1.1",
    "169.254.170.2",
    "fd00:ec2::254",
    "[fd00:ec2::254]",
    "fd00:0ec2:0:0:0:0:0:0254",
    "fd20:ce::254",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "fe80::1",
    "fe80::1%eth0",
    "[fe80::1%25eth0]",
    "fec0::1",
    // multicast, broadcast, reserved
    "224.0.0.1",
    "239.255.255.255",
    "ff02::1",
    "255.255.255.255",
    "4294967295",
    "0xffffffff",
    "240.0.0.1",
    // not a host at all
    "",
    " ",
    " 10.0.0.1",
    "10.0.0.1 ",
    "10.0.0.1\n",
    "10.0.0.1\0",
    "10.0.0.1:80",
    "10.0.0.1/",
    "10.0.0.1#",
    "10.0.0.1?",
    "10.0.0.1\\",
    "10.0.0.1..",
    ".10.0.0.1",
    "10..0.1",
    "10.0.0.0.1",
    "10.0.0.256",
    "10.0.0.1e0",
    "10.0.0.-1",
    "10.0.0.+1",
    "10.0.65536",
    "4294967296",
    "0x1ffffffff",
    "08.0.0.1",
    "99999999999999999999",
    "http://10.0.0.1",
    "user@10.0.0.1",
    "10.0.0.1@127.0.0.1",
    "127.0.0.1%00.example.com",
    "[10.0.0.1]",
    "[::1",
    "::1]",
    "[[::1]]",
    "[]",
    ":",
    ":::1",
    "1::2::3",
    "１２７.0.0.1",
    "①②⑦.0.0.1",
    "127。0。0。1",
    "١٢٧.0.0.1",
    "ⓛocalhost",
    "example..com",
    "-a.example",
    "a b.example",
    "a,b.example",
];

/// None: it's a name, whose addresses are judged when they are known.
fn judge(rules: &DialRules, text: &str) -> Option<Result<SocketAddr, Refusal>> {
    match parse(text) {
        Ok(Host::Address(address)) => Some(rules.permit(address, 8888)),
        Ok(Host::Name(_)) => None,
        Err(refusal) => Some(Err(refusal)),
    }
}

fn rules(networks: &[&str]) -> DialRules {
    let networks = networks.iter().map(|text| text.parse().unwrap()).collect();
    DialRules::new(networks, vec![8080], vec!["10.9.9.9:8008".parse().unwrap()])
}

fn default_rules() -> DialRules {
    DialRules::new(crate::config::Dial::private_networks(), Vec::new(), Vec::new())
}

#[test]
fn hostile_spellings_are_not_dialled() {
    assert!(REFUSED.len() >= 50);
    for rules in [default_rules(), rules(&["0.0.0.0/0", "::/0"])] {
        for text in REFUSED {
            let judged = judge(&rules, text);
            assert!(matches!(judged, Some(Err(_))), "{text:?} became {judged:?}");
        }
    }
}

#[test]
fn every_spelling_of_an_address_that_may_be_dialled_is_one_address() {
    let rules = default_rules();
    let spellings = [
        "10.1.2.3",
        "10.1.2.3.",
        "10.66051",
        "0xa.1.2.3",
        "012.1.2.3",
        "167838211",
        "::ffff:10.1.2.3",
        "[::ffff:a01:203]",
        "64:ff9b::10.1.2.3",
        "2002:a01:203::",
    ];
    for text in spellings {
        assert_eq!(judge(&rules, text), Some(Ok("10.1.2.3:8888".parse().unwrap())), "{text}");
    }
    assert_eq!(judge(&rules, "FD12:0:0::7"), Some(Ok("[fd12::7]:8888".parse().unwrap())));
}

#[test]
fn only_configured_networks_are_dialled() {
    let rules = rules(&["10.4.0.0/16"]);
    assert!(judge(&rules, "10.4.255.1").unwrap().is_ok());
    assert_eq!(judge(&rules, "10.5.0.1"), Some(Err(Refusal::Outside("10.5.0.1".parse().unwrap()))));
    assert_eq!(judge(&rules, "8.8.8.8"), Some(Err(Refusal::Outside("8.8.8.8".parse().unwrap()))));
    assert!(judge(&super::tests::rules(&[]), "10.4.255.1").unwrap().is_err());
}

#[test]
fn a_network_opens_a_special_address_only_from_within() {
    for (networks, open) in [
        (&["0.0.0.0/0"][..], false),
        (&["126.0.0.0/7"][..], false),
        (&["127.0.0.0/8"][..], true),
        (&["127.0.0.1/32"][..], true),
        (&["127.0.0.2/32", "0.0.0.0/0"][..], false),
    ] {
        assert_eq!(judge(&rules(networks), "127.0.0.1").unwrap().is_ok(), open, "{networks:?}");
    }
    // Metadata is link-local too: opening that isn't enough.
    assert!(judge(&rules(&["169.254.0.0/16"]), "169.254.7.7").unwrap().is_ok());
    assert!(judge(&rules(&["169.254.0.0/16"]), "169.254.169.254").unwrap().is_err());
    assert!(judge(&rules(&["169.254.169.254/32"]), "169.254.169.254").unwrap().is_ok());
}

#[test]
fn the_gateway_never_dials_itself_or_the_api_server() {
    let open = rules(&["127.0.0.0/8", "10.0.0.0/8"]);
    let loopback: IpAddr = "127.0.0.1".parse().unwrap();
    assert!(open.permit(loopback, 8081).is_ok());
    assert_eq!(open.permit(loopback, 8080), Err(Refusal::Loop("127.0.0.1:8080".parse().unwrap())));
    assert_eq!(open.permit("127.4.5.6".parse().unwrap(), 8080), Err(Refusal::Loop("127.4.5.6:8080".parse().unwrap())));

    let api: IpAddr = "10.9.9.9".parse().unwrap();
    assert_eq!(open.permit(api, 8008), Err(Refusal::Api(api)));
    assert_eq!(open.permit(api, 22), Err(Refusal::Api(api)));
    let named = rules(&["10.9.9.9/32"]);
    assert_eq!(named.permit(api, 8008), Err(Refusal::Api(api)));
    assert!(named.permit(api, 22).is_ok());
}

#[test]
fn a_name_is_judged_by_the_address_that_is_then_pinned() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let resolver = Resolver::new(1, Duration::from_secs(5));
    // The resolver of any machine knows this one; the parser would have taken it for loopback before.
    let closed = runtime.block_on(resolver.pin(&default_rules(), "localhost", 8888));
    assert!(matches!(closed, Err(Refusal::Special("loopback", _))), "{closed:?}");
    let open = runtime.block_on(resolver.pin(&rules(&["127.0.0.0/8", "::1/128"]), "localhost", 8888)).unwrap();
    assert!(open.ip().is_loopback());
    assert_eq!(parse("Notebook.svc.Cluster.local."), Ok(Host::Name("notebook.svc.cluster.local".into())));
}
