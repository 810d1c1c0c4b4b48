//! The log says why a request has no user, under names that stay, and says nothing of a token.

use crate::support::log::Log;
use crate::support::world::{CookieLine as _, REFRESH, SignedIn, World};
use tower_descope::emulator::Fault;
use tracing::Level;

/// The events of these names, in the order in which they came.
fn events(log: &Log) -> Vec<String> {
    let text = log.text();
    let lines = text.lines();
    let names = lines.filter_map(|line| line.split("event=\"").nth(1)?.split('"').next());
    names.map(str::to_owned).collect()
}

fn says_nothing_of(log: &Log, session: &SignedIn) {
    for token in [session.session_jwt(), session.refresh_jwt()] {
        for part in token.split('.') {
            assert!(!log.text().contains(part), "{}", log.text());
        }
    }
}

#[tokio::test]
async fn each_decision_is_one_event_with_its_reason() {
    let world = World::new().await;
    let ann = world.sign_in("ann@example.com").await;

    let log = Log::of_level(Level::TRACE);
    world.browse("/me", &ann).await;
    assert_eq!(events(&log), [""; 0], "what goes well is not logged");
    drop(log);

    let log = Log::of_level(Level::TRACE);
    world.get("/me", "theme=dark").await;
    assert_eq!(events(&log), ["session.no_credentials"]);
    drop(log);

    let log = Log::of_level(Level::DEBUG);
    world.get_bearer("/me", "a.b.c").await;
    assert_eq!(events(&log), ["session.refused"]);
    assert!(log.text().contains("invalid_token"), "{}", log.text());
    drop(log);

    let log = Log::of_level(Level::DEBUG);
    world.browse("/admin", &ann).await;
    assert_eq!(events(&log), ["requirement.refused"]);
    assert!(log.text().contains("rule=\"role\""), "{}", log.text());
    says_nothing_of(&log, &ann);
}

#[tokio::test]
async fn a_renewal_says_how_it_ended() {
    let world = World::new().await;
    let ann = world.sign_in("ann@example.com").await;
    let bob = world.sign_in("bob@example.com").await;

    let log = Log::of_level(Level::DEBUG);
    let renewed = world.get("/me", &ann.refresh_cookie()).await;
    assert_eq!(renewed.status(), 200);
    assert_eq!(events(&log), ["session.renewed"]);
    says_nothing_of(&log, &ann);
    drop(log);

    world.emulator.fault(Fault::status(REFRESH, 500));
    let log = Log::of_level(Level::DEBUG);
    world.get("/me", &bob.refresh_cookie()).await;
    assert_eq!(events(&log), ["renewal.failed", "session.refused"]);
    assert!(log.text().contains("unavailable"), "{}", log.text());
    says_nothing_of(&log, &bob);
}
