//! What outlives the process: the last good set serves after a restart with a broken directory, whenever the process was killed.

use wicketgate_tests::{Gateway, eventually};

use crate::site::{SESSION, Site, activated, only, person, refused, swapped};

/// As many as it takes to tell a mistake from somebody who was locked out.
const PEOPLE: [&str; 3] = ["alice", "bob", "carol"];

async fn everybody_comes(gateway: &Gateway) {
    for name in PEOPLE {
        enters(gateway, name).await;
    }
}

/// With a state directory in the gateway's own, which a restart keeps.
fn config(site: &Site) -> String {
    let directory = site.plugins.path().display();
    site.config_without_directory()
        + &format!("plugins: {{directory: '{directory}', poll_s: 1, state_directory: '{{directory}}/state'}}\n")
}

async fn enters(gateway: &Gateway, name: &str) -> u16 {
    person(name).get(&gateway.at(SESSION)).await.status.as_u16()
}

#[tokio::test]
async fn a_restart_with_a_broken_directory_serves_the_last_good_set() {
    let mut site = Site::new(&only(activated("", "allow: [everyone]")));
    let mut gateway = Gateway::start(&config(&site)).await;
    assert_eq!(enters(&gateway, "bob").await, 200);
    for broken in ["version: 0\n", "", "plugins: ["] {
        site.mount(broken);
        refused(&gateway, None).await;
        gateway.kill();
        gateway.start_again().await;
        assert_eq!(enters(&gateway, "bob").await, 200, "{broken:?}");
        let status = gateway.status("/plugins").await;
        assert_eq!(status["is_saved_set"], true, "{status}");
        assert!(status["refused"]["why"].is_string(), "{status}");
    }
    site.plugins.replace::<&str>(&[]);
    gateway.kill();
    gateway.start_again().await;
    assert_eq!(enters(&gateway, "bob").await, 200, "an empty directory");
    site.mount(&activated("", "allow: [owner]"));
    eventually("the directory's own set", async || (enters(&gateway, "bob").await == 404).then_some(())).await;
    assert_eq!(gateway.status("/plugins").await["is_saved_set"], false);
}

#[tokio::test]
async fn what_was_taken_back_stays_so_over_a_restart() {
    let mut site = Site::new(&only(activated("", "allow: [everyone]")));
    let mut gateway = Gateway::start(&config(&site)).await;
    for name in PEOPLE {
        assert_eq!(enters(&gateway, name).await, 200);
    }
    site.mount(&activated("rollback: errors+denials", "closed: Nobody may enter."));
    eventually("the set is taken back", async || {
        everybody_comes(&gateway).await;
        (!gateway.status("/plugins").await["rejected"].is_null()).then_some(())
    })
    .await;
    gateway.kill();
    gateway.start_again().await;
    assert_eq!(enters(&gateway, "bob").await, 200);
    let status = gateway.status("/plugins").await;
    assert!(status["rejected"]["why"].as_str().unwrap().contains("are turned away"), "{status}");
    assert_eq!(status["is_saved_set"], true);
}

#[tokio::test]
async fn a_restart_verifies_nothing_by_itself() {
    let mut site = Site::new(&only(activated("", "allow: [everyone]")));
    let mut gateway = Gateway::start(&config(&site)).await;
    assert_eq!(enters(&gateway, "bob").await, 200);
    for mode in ["verified", "shadow"] {
        site.mount(&activated(&format!("mode: {mode}"), "closed: Nobody may enter."));
        gateway.kill();
        gateway.start_again().await;
        for _ in 0..3 {
            assert_eq!(enters(&gateway, "bob").await, 200, "{mode}");
        }
        assert_eq!(gateway.status("/plugins").await["is_saved_set"], true, "{mode}");
    }
}

#[tokio::test]
async fn where_the_saved_set_is_damaged_nothing_is_verified_by_it() {
    let mut site = Site::new(&only(activated("", "allow: [everyone]")));
    let mut gateway = Gateway::start(&config(&site)).await;
    assert_eq!(enters(&gateway, "bob").await, 200);
    // Somebody gets in before the set lies on the disk.
    let state = gateway.directory.path().join("state/plugins");
    eventually("it's saved", async || state.join("good").exists().then_some(())).await;
    gateway.kill();
    let saved = std::fs::read_dir(state.join("sets")).unwrap().next().unwrap().unwrap().path();
    std::fs::write(saved.join("plugins.yaml"), "version: 1").unwrap();
    site.mount(&activated("mode: verified", "closed: Nobody may enter."));
    gateway.start_again_unready().await;
    let why = refused(&gateway, None).await;
    assert!(why.starts_with("not activated: the saved set, with which it had to be compared, can't be used"), "{why}");
    assert_eq!(enters(&gateway, "bob").await, 503, "nothing decides");
    site.mount(&activated("", "allow: [everyone]"));
    eventually("what says that it's meant", async || (enters(&gateway, "bob").await == 200).then_some(())).await;
}

#[tokio::test]
async fn a_set_that_replaced_a_good_one_is_still_watched_after_a_restart() {
    let mut site = Site::new(&only(activated("", "allow: [everyone]")));
    let mut gateway = Gateway::start(&config(&site)).await;
    site.mount(&activated("rollback: errors+denials, watch_s: 5", "closed: Nobody may enter."));
    swapped(&gateway, 1).await;
    gateway.kill();
    gateway.start_again().await;
    // Nothing is recorded any more of who could enter, so that it takes until the end of the watch.
    eventually("the set is taken back", async || {
        everybody_comes(&gateway).await;
        (!gateway.status("/plugins").await["rejected"].is_null()).then_some(())
    })
    .await;
    assert_eq!(enters(&gateway, "bob").await, 200);
}

#[tokio::test]
async fn whenever_it_is_killed_it_starts_again() {
    let mut site = Site::new(&only(activated("", "allow: [everyone]")));
    let mut gateway = Gateway::start(&config(&site)).await;
    for round in 0..12 {
        // Different each time, so that each is loaded, compared, activated and saved; and killed somewhere on that way.
        site.mount(&activated("", &format!("allow: [everyone], message: Round {round}.")));
        let stages = ["loading", "trying", "replaying", "activating"];
        eventually("on its way or there", async || {
            let status = gateway.status("/plugins").await;
            let stage = status["candidate"]["stage"].as_str().unwrap_or_default().to_owned();
            (stage == stages[round % 4] || status["generation"] != 1).then_some(())
        })
        .await;
        gateway.kill();
        gateway.start_again().await;
        assert_eq!(enters(&gateway, "bob").await, 200, "{round}");
    }
}

#[tokio::test]
async fn others_cannot_look_into_what_is_saved() {
    use std::os::unix::fs::PermissionsExt;
    let site = Site::new(&only(activated("", "allow: [everyone]")));
    let gateway = Gateway::start(&config(&site)).await;
    let private = gateway.directory.path().join("state/plugins");
    assert_eq!(std::fs::metadata(&private).unwrap().permissions().mode() & 0o777, 0o700);
    assert!(std::fs::read_dir(private.join("compiled")).unwrap().count() >= 1, "compiled components are kept");
}

#[tokio::test]
async fn a_state_directory_that_was_opened_to_a_group_is_closed_and_used() {
    use std::os::unix::fs::PermissionsExt;
    let site = Site::new(&only(activated("", "allow: [everyone]")));
    let mut gateway = Gateway::start(&config(&site)).await;
    assert_eq!(enters(&gateway, "bob").await, 200);
    let private = gateway.directory.path().join("state/plugins");
    gateway.kill();
    std::fs::set_permissions(&private, std::fs::Permissions::from_mode(0o2770)).unwrap();
    gateway.start_again().await;
    assert_eq!(enters(&gateway, "bob").await, 200);
    assert_eq!(std::fs::metadata(&private).unwrap().permissions().mode() & 0o777, 0o700);
    assert!(gateway.status("/plugins").await["state_directory"]["unusable"].is_null());
}

#[tokio::test]
async fn a_state_directory_that_cannot_be_used_stops_nothing() {
    let site = Site::new(&only(activated("", "allow: [everyone]")));
    let mut gateway = Gateway::start(&config(&site)).await;
    let private = gateway.directory.path().join("state/plugins");
    gateway.kill();
    std::fs::remove_dir_all(&private).unwrap();
    std::fs::write(&private, "in its place").unwrap();
    gateway.start_again().await;
    assert_eq!(enters(&gateway, "bob").await, 200);
    let unusable = gateway.status("/plugins").await["state_directory"]["unusable"].to_string();
    assert!(unusable.contains("plugins.state_directory: ") && unusable.contains("expected a directory"), "{unusable}");
}
