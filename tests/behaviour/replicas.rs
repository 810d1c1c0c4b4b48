//! Two replicas that share a store, in one process. `replicas_redis.rs` has four processes and a real Redis.

use std::time::{Duration, Instant};

use crate::support::log::Log;
use crate::support::memory_store::MemoryStore;
use crate::support::world::{self, CookieLine as _, Reply, World};
use axum::Router;
use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Request;
use serde_json::json;
use sha2::{Digest, Sha256};
use tower::ServiceExt;
use tower_descope::client::RefreshToken;
use tower_descope::emulator::{Fault, RefreshRotation};
use tower_descope::store::SharedStore;
use tower_descope::{Descope, Revocation};

struct Replicas {
    world: World,
    store: MemoryStore,
    replicas: Vec<Replica>,
}

#[derive(Clone)]
struct Replica {
    descope: Descope,
    app: Router,
}

impl Replicas {
    async fn new(rotation: RefreshRotation) -> Self {
        let world = World::new().await;
        world.rotation(rotation);
        let store = MemoryStore::new(world.clock.clone());
        let mut replicas = Self {
            world,
            store,
            replicas: Vec::new(),
        };
        for _ in 0..2 {
            let replica = replicas.start().await;
            replicas.replicas.push(replica);
        }
        replicas
    }

    /// One more replica.
    async fn start(&self) -> Replica {
        let descope = world::handle(&self.world.emulator, self.world.clock.clone(), |builder| {
            builder.shared_store(self.store.clone())
        });
        descope.ready().await.unwrap();
        let app = world::app(&descope);
        Replica { descope, app }
    }

    fn pass(&self, time: Duration) {
        self.world.clock.advance(time);
    }
}

impl std::ops::Index<usize> for Replicas {
    type Output = Replica;

    fn index(&self, index: usize) -> &Replica {
        &self.replicas[index]
    }
}

impl Replica {
    async fn get(&self, path: &str, cookies: &str) -> Reply {
        let request = Request::get(path).header("cookie", cookies);
        let request = request.body(Body::empty()).unwrap();
        Reply::read(self.app.clone().oneshot(request).await.unwrap()).await
    }

    /// Until this status is answered; it must be within a second.
    async fn answers_soon(&self, cookies: &str, status: u16) {
        let began = Instant::now();
        while self.get("/me", cookies).await.status() != status {
            assert!(began.elapsed() < Duration::from_secs(1), "no {status}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

#[tokio::test]
async fn one_renewal_serves_both() {
    for rotation in [RefreshRotation::None, RefreshRotation::SingleUse] {
        let replicas = Replicas::new(rotation).await;
        let ann = replicas.world.sign_in_long_ago("ann@example.com").await;
        replicas
            .world
            .emulator
            .configure(|config| config.latency_ms = 100);
        let mut requests = tokio::task::JoinSet::new();
        for n in 0..200 {
            let (replica, cookies) = (replicas[n % 2].clone(), ann.cookie_line());
            requests.spawn(async move {
                let reply = replica.get("/me", &cookies).await;
                (reply.status(), reply.cookie("DS"), reply.cookie("DSR"))
            });
        }
        let replies = requests.join_all().await;
        assert_eq!(replies[0].0, 200);
        assert!(replies.iter().all(|reply| *reply == replies[0]));
        assert_eq!(replicas.world.refreshes(), 1);
        // Late twins find it everywhere, also at a replica that was not there.
        let third = replicas.start().await;
        for replica in [&replicas[0], &replicas[1], &third] {
            let reply = replica.get("/me", &ann.cookie_line()).await;
            assert_eq!(reply.cookie("DS"), replies[0].1);
        }
        assert_eq!(replicas.world.refreshes(), 1);
    }
}

#[tokio::test]
async fn who_overran_its_lease_and_lost_finds_what_the_winner_got() {
    let replicas = Replicas::new(RefreshRotation::SingleUse).await;
    let ann = replicas.world.sign_in_long_ago("ann@example.com").await;
    let emulator = &replicas.world.emulator;
    // Long enough for both calls to be under way at the same time, and far enough apart for the winner to have put its
    // outcome before the loser is refused, also on a busy machine.
    emulator.configure(|config| config.latency_ms = 1_200);
    replicas.store.break_locks();
    let cookies = ann.cookie_line();
    let winner = replicas[0].get("/me", &cookies);
    let loser = async {
        while replicas.world.refreshes() < 1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(Duration::from_millis(600)).await;
        replicas[1].get("/me", &cookies).await
    };
    let (winner, loser) = tokio::join!(winner, loser);
    assert_eq!((winner.status(), loser.status()), (200, 200));
    assert_eq!(winner.set_cookies(), loser.set_cookies());
    assert_eq!(replicas.world.refreshes(), 2);
}

// Race "nobody-there", with the client returning to another replica.
#[tokio::test]
async fn an_outcome_waits_in_the_store_for_its_client() {
    let replicas = Replicas::new(RefreshRotation::SingleUse).await;
    let ann = replicas.world.sign_in_long_ago("ann@example.com").await;
    replicas
        .world
        .emulator
        .configure(|config| config.latency_ms = 200);
    let cookies = ann.cookie_line();
    let request = replicas[0].get("/me", &cookies);
    let hung_up = tokio::time::timeout(Duration::from_millis(50), request).await;
    assert!(hung_up.is_err());
    tokio::time::sleep(Duration::from_millis(400)).await;
    replicas.pass(Duration::from_secs(590));
    let reply = replicas[1].get("/me", &ann.cookie_line()).await;
    assert_eq!(reply.status(), 200);
    let refresh = reply.cookie("DSR").unwrap();
    assert_ne!(refresh, ann.refresh_jwt());
    assert_eq!(replicas.world.refreshes(), 1);

    // From the delivery on it is found for the memo window, and not prolonged by late twins.
    tokio::time::sleep(Duration::from_millis(50)).await;
    replicas.pass(Duration::from_secs(9));
    let reply = replicas[0].get("/me", &ann.cookie_line()).await;
    assert_eq!(reply.cookie("DSR"), Some(refresh));
    tokio::time::sleep(Duration::from_millis(50)).await;
    replicas.pass(Duration::from_secs(2));
    let third = replicas.start().await;
    let reply = third.get("/me", &ann.cookie_line()).await;
    assert_eq!((reply.status(), reply.set_cookies().len()), (401, 0));
}

// Race "theft-replay".
// Fault "shutdown/in-flight", with a client that has hung up.
#[test]
fn what_a_process_settles_before_it_ends_another_one_finds() {
    let runtime = || tokio::runtime::Runtime::new().unwrap();
    let (elsewhere, ending) = (runtime(), runtime());
    let (replicas, ann) = elsewhere.block_on(async {
        let replicas = Replicas::new(RefreshRotation::SingleUse).await;
        let ann = replicas.world.sign_in_long_ago("ann@example.com").await;
        (replicas, ann)
    });
    let emulator = &replicas.world.emulator;
    emulator.configure(|config| config.latency_ms = 200);
    let cookies = ann.cookie_line();
    ending.block_on(async {
        let request = replicas[0].get("/me", &cookies);
        let hung_up = tokio::time::timeout(Duration::from_millis(50), request).await;
        assert!(hung_up.is_err());
        replicas[0].descope.renewals_finished().await;
    });
    drop(ending);
    let reply = elsewhere.block_on(replicas[1].get("/me", &cookies));
    assert_eq!(reply.status(), 200);
    assert!(reply.cookie("DSR").is_some());
    assert_eq!(replicas.world.refreshes(), 1);
    // With nothing under way there is nothing to wait for.
    let finished = replicas[1].descope.renewals_finished();
    elsewhere
        .block_on(async { tokio::time::timeout(Duration::from_millis(100), finished).await })
        .unwrap();
}

#[tokio::test]
async fn the_grace_covers_the_immediate_predecessor_only() {
    let replicas = Replicas::new(RefreshRotation::SingleUse).await;
    let ann = replicas.world.sign_in_long_ago("ann@example.com").await;
    let second = replicas[0].get("/me", &ann.cookie_line()).await;
    let second = second.cookie("DSR").unwrap();
    let third = replicas[1].get("/me", &format!("DSR={second}")).await;
    assert_eq!(third.status(), 200);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let newcomer = replicas.start().await;
    let reply = newcomer.get("/me", &format!("DSR={second}")).await;
    assert_eq!(reply.cookie("DSR"), third.cookie("DSR"));
    let reply = newcomer.get("/me", &ann.cookie_line()).await;
    assert_eq!(reply.status(), 401);
    assert_eq!(replicas.world.refreshes(), 3);
}

#[tokio::test]
async fn a_refusal_is_shared_and_so_is_that_it_was_the_first() {
    let replicas = Replicas::new(RefreshRotation::SingleUse).await;
    let ann = replicas.world.sign_in_long_ago("ann@example.com").await;
    let token = tower_descope::client::RefreshToken::new(ann.refresh_jwt().to_owned()).unwrap();
    let sessions = replicas.world.descope.client().session();
    sessions.logout(&token).await.unwrap();
    for n in 0..4 {
        let reply = replicas[n % 2].get("/me", &ann.cookie_line()).await;
        assert_eq!((reply.status(), reply.set_cookies().len()), (401, 0));
    }
    assert_eq!(replicas.world.refreshes(), 1);
    // Whichever replica meets it after the window knows that it is the second time.
    replicas.pass(Duration::from_secs(11));
    let third = replicas.start().await;
    let reply = third.get("/me", &ann.cookie_line()).await;
    assert_eq!(reply.cookie("DSR").as_deref(), Some(""));
    assert_eq!(replicas.world.refreshes(), 2);
}

#[tokio::test]
async fn an_outage_of_upstream_is_found_out_once() {
    let replicas = Replicas::new(RefreshRotation::SingleUse).await;
    let ann = replicas.world.sign_in_long_ago("ann@example.com").await;
    let emulator = &replicas.world.emulator;
    emulator.configure(|config| config.latency_ms = 100);
    emulator.fault(Fault::status(world::REFRESH, 503).retry_after(7));
    let cookies = ann.cookie_line();
    let (one, two) = tokio::join!(
        replicas[0].get("/me", &cookies),
        replicas[1].get("/me", &cookies)
    );
    for reply in [one, two] {
        assert_eq!(reply.status(), 503);
        assert_eq!(reply.header("retry-after"), Some("7"));
    }
    assert_eq!(replicas.world.refreshes(), 1);
    // It is nobody's business who did not wait for it.
    assert_eq!(replicas[1].get("/me", &cookies).await.status(), 200);
}

#[tokio::test]
async fn what_one_replica_ends_all_refuse() {
    let replicas = Replicas::new(RefreshRotation::None).await;
    let one = &replicas[0].descope;

    let ann = replicas.world.sign_in("ann@example.com").await;
    let cookies = format!("DS={}", ann.session_jwt());
    assert_eq!(replicas[1].get("/me", &cookies).await.status(), 200);
    let revocation = Revocation::session_jwt(ann.session_jwt());
    one.revoke(revocation.clone()).await.unwrap();
    assert_eq!(replicas[0].get("/me", &cookies).await.status(), 401);
    replicas[1].answers_soon(&cookies, 401).await;
    one.revoke(revocation).await.unwrap();
    // The refresh JWT is still good.
    assert_eq!(
        replicas[1].get("/me", &ann.cookie_line()).await.status(),
        200
    );

    // A session that another replica has issued for this refresh JWT ends with it.
    let bob = replicas.world.sign_in_long_ago("bob@example.com").await;
    let renewed = replicas[1].get("/me", &bob.cookie_line()).await;
    let renewed = format!("DS={}", renewed.cookie("DS").unwrap());
    one.revoke(Revocation::refresh_jwt(bob.refresh_jwt()))
        .await
        .unwrap();
    replicas[1].answers_soon(&renewed, 401).await;
    replicas[1].answers_soon(&bob.cookie_line(), 401).await;

    let cid = replicas.world.sign_in("cid@example.com").await;
    // The app's clock stands still, the emulator's does not.
    replicas.pass(Duration::from_secs(3));
    one.revoke(Revocation::user(cid.user_id())).await.unwrap();
    replicas[1].answers_soon(&cid.cookie_line(), 401).await;

    // One that starts later catches up before it is ready.
    let third = replicas.start().await;
    for cookies in [
        &format!("DS={}", ann.session_jwt()),
        &bob.cookie_line(),
        &cid.cookie_line(),
    ] {
        assert_eq!(third.get("/me", cookies).await.status(), 401);
    }
    // Others are not concerned.
    let dan = replicas.world.sign_in("dan@example.com").await;
    assert_eq!(third.get("/me", &dan.cookie_line()).await.status(), 200);
}

// Race "logout-vs-refresh", with the renewal in another process. The outcome of a renewal outruns the news.
/// The notice by which a replica denies one token, as anybody can write it who has the store and has seen the token.
fn denial(jwt: &str, exp: i64) -> Vec<u8> {
    let signing_input = jwt.rsplit_once('.').unwrap().0;
    let id = URL_SAFE_NO_PAD.encode(Sha256::digest(signing_input));
    json!({"token": {"id": id, "exp": exp}})
        .to_string()
        .into_bytes()
}

// The tokens are denied before their owner signs out, and once more afterwards, each time until a moment that is over.
#[tokio::test]
async fn a_writer_of_the_store_cancels_no_revocation() {
    for by_route in [false, true] {
        let replicas = Replicas::new(RefreshRotation::None).await;
        let ann = replicas.world.sign_in("ann@example.com").await;
        let cookies = [format!("DS={}", ann.session_jwt()), ann.refresh_cookie()];
        let year = Duration::from_secs(366 * 24 * 3600);
        let deny = async || {
            for jwt in [ann.session_jwt(), ann.refresh_jwt()] {
                let notice = denial(jwt, 1);
                replicas.store.publish(&notice, year).await.unwrap();
            }
            tokio::time::sleep(Duration::from_millis(600)).await;
        };
        deny().await;
        for replica in &replicas.replicas {
            for cookie in &cookies {
                replica.answers_soon(cookie, 401).await;
            }
        }
        let descope = &replicas[0].descope;
        if by_route {
            let app = Router::new().nest("/auth", descope.routes());
            let sign_out = Request::post("/auth/v1/auth/logout")
                .header("cookie", ann.cookies())
                .header("content-type", "application/json");
            let sign_out = sign_out.body(Body::from("{}")).unwrap();
            let reply = Reply::read(app.oneshot(sign_out).await.unwrap()).await;
            assert_eq!(reply.status(), 200);
        } else {
            for revocation in [
                Revocation::session_jwt(ann.session_jwt()),
                Revocation::refresh_jwt(ann.refresh_jwt()),
            ] {
                descope.revoke(revocation).await.unwrap();
            }
        }
        deny().await;
        replicas.pass(Duration::from_secs(300));
        // Whoever writes also removes what is over.
        for n in 0..2000 {
            let other = denial(&format!("{n}.{n}.x"), i64::MAX);
            replicas.store.publish(&other, year).await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(600)).await;
        let calls = replicas.world.refreshes();
        for replica in &replicas.replicas {
            for cookie in &cookies {
                assert_eq!(replica.get("/me", cookie).await.status(), 401);
            }
        }
        assert_eq!(replicas.world.refreshes(), calls);
    }
}

#[tokio::test]
async fn what_a_renewal_brings_after_the_end_is_dropped() {
    let replicas = Replicas::new(RefreshRotation::SingleUse).await;
    let ann = replicas.world.sign_in_long_ago("ann@example.com").await;
    let emulator = &replicas.world.emulator;
    emulator.configure(|config| config.latency_ms = 200);
    let cookies = ann.cookie_line();
    let renewal = replicas[1].get("/me", &cookies);
    let end = async {
        tokio::time::sleep(Duration::from_millis(150)).await;
        let revocation = Revocation::refresh_jwt(ann.refresh_jwt());
        replicas[0].descope.revoke(revocation).await.unwrap();
    };
    let (reply, ()) = tokio::join!(renewal, end);
    assert_eq!((reply.status(), reply.set_cookies().len()), (401, 0));
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(emulator.calls("/v1/auth/logout"), 1, "of the new token");
    for replica in &replicas.replicas {
        assert_eq!(replica.get("/me", &cookies).await.status(), 401);
    }
    assert_eq!(replicas.world.refreshes(), 1);
}

#[tokio::test]
async fn only_tokens_that_verify_can_be_revoked() {
    let replicas = Replicas::new(RefreshRotation::None).await;
    let one = &replicas[0].descope;
    let ann = replicas.world.sign_in("ann@example.com").await;
    for bad in [
        Revocation::session_jwt("junk"),
        Revocation::session_jwt(ann.refresh_jwt()),
        Revocation::refresh_jwt(ann.session_jwt()),
    ] {
        let shown = format!("{bad:?}");
        assert!(!shown.contains(ann.session_jwt()) && !shown.contains(ann.refresh_jwt()));
        assert_eq!(one.revoke(bad).await.unwrap_err().code(), "invalid_token");
    }
    let old = replicas.world.sign_in_long_ago("bob@example.com").await;
    one.revoke(Revocation::session_jwt(old.session_jwt()))
        .await
        .unwrap();
}

#[tokio::test]
async fn without_the_store_each_replica_goes_on_and_says_so_once() {
    let log = Log::start();

    let replicas = Replicas::new(RefreshRotation::None).await;
    let world = &replicas.world;
    replicas.store.set_down(true);
    for n in 0..10 {
        let ann = world.sign_in_long_ago(&format!("ann{n}@example.com")).await;
        for replica in &replicas.replicas {
            let reply = replica.get("/me", &ann.cookie_line()).await;
            assert_eq!(reply.status(), 200);
        }
    }
    assert_eq!(world.refreshes(), 20, "each for itself");
    let bob = world.sign_in("bob@example.com").await;
    let began = Instant::now();
    let one = &replicas[0].descope;
    one.revoke(Revocation::user(bob.user_id())).await.unwrap();
    assert!(began.elapsed() < Duration::from_millis(500));
    assert_eq!(
        replicas[0].get("/me", &bob.cookie_line()).await.status(),
        401
    );
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(
        replicas[1].get("/me", &bob.cookie_line()).await.status(),
        200
    );
    // One line of each replica.
    assert_eq!(log.count("goes on by itself"), 2, "{}", log.text());
    assert_eq!(log.count("is back"), 0);

    // What could not be told is told when the store is back.
    replicas.store.set_down(false);
    replicas[1].answers_soon(&bob.cookie_line(), 401).await;
    assert_eq!(log.count("goes on by itself"), 2);
    assert_eq!(log.count("is back"), 2);
    let cid = world.sign_in_long_ago("cid@example.com").await;
    for replica in &replicas.replicas {
        let reply = replica.get("/me", &cid.cookie_line()).await;
        assert_eq!(reply.status(), 200);
    }
    assert_eq!(world.refreshes(), 21, "together again");
    for token in [
        bob.session_jwt(),
        bob.refresh_jwt(),
        cid.session_jwt(),
        cid.refresh_jwt(),
    ] {
        assert!(!log.text().contains(token));
    }
}

#[tokio::test]
async fn a_store_that_can_only_be_read_from_is_not_back() {
    let log = Log::start();
    let replicas = Replicas::new(RefreshRotation::None).await;
    replicas.store.set_read_only(true);
    let ann = replicas.world.sign_in_long_ago("ann@example.com").await;
    let reply = replicas[0].get("/me", &ann.cookie_line()).await;
    assert_eq!(reply.status(), 200);
    assert_eq!(log.count("goes on by itself"), 1, "{}", log.text());
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(log.count("is back"), 0);
    replicas.store.set_read_only(false);
    for _ in 0..100 {
        if log.count("is back") > 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{}", log.text());
}

#[tokio::test]
async fn a_call_that_a_renewal_elsewhere_has_overtaken_is_repeated() {
    let replicas = Replicas::new(RefreshRotation::SingleUse).await;
    let world = &replicas.world;
    let ann = world.sign_in("ann@example.com").await;
    let reply = replicas[0].get("/me", &ann.refresh_cookie()).await;
    assert_eq!(reply.status(), 200);
    let reply = replicas[1].get("/profile", &ann.cookie_line()).await;
    assert_eq!(reply.body, "ann@example.com");
    assert_eq!(world.refreshes(), 1);

    // One that is refused for another reason causes no renewal.
    let bob = world.sign_in("bob@example.com").await;
    let token = RefreshToken::new(bob.refresh_jwt().to_owned()).unwrap();
    let session = world.descope.client().session();
    session.logout(&token).await.unwrap();
    let reply = replicas[1].get("/profile", &bob.cookie_line()).await;
    assert_eq!(reply.body, "the profile could not be loaded");
    assert_eq!(world.refreshes(), 1);
}

// Somebody else may have this user's id in `sub`, where a JWT template puts anything.
#[tokio::test]
async fn replicas_are_told_whether_a_name_is_an_id() {
    let replicas = Replicas::new(RefreshRotation::None).await;
    let ann = replicas.world.sign_in("ann@example.com").await;
    let descope = &replicas[0].descope;
    let app = Router::new().nest("/auth", descope.routes());
    let request = Request::post("/auth/v1/auth/logoutall")
        .header("sec-fetch-site", "same-origin")
        .header("content-type", "application/json")
        .header("cookie", ann.cookies());
    let request = request.body(Body::from("{}")).unwrap();
    assert_eq!(app.oneshot(request).await.unwrap().status(), 200);
    let revocation = Revocation::user("somebody");
    descope.revoke(revocation).await.unwrap();
    let told = |user: &str| {
        let notices = replicas.store.notices_so_far();
        let mut subjects = notices.iter().filter_map(|notice| notice.get("subject"));
        subjects.any(|it| it["sub"] == user && it["id_only"] == (user == ann.user_id()))
    };
    for _ in 0..100 {
        if told(ann.user_id()) && told("somebody") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{:?}", replicas.store.notices_so_far());
}

#[tokio::test]
async fn an_intruder_finds_nothing_of_use_in_the_store() {
    let replicas = Replicas::new(RefreshRotation::SingleUse).await;
    let ann = replicas.world.sign_in_long_ago("ann@example.com").await;
    let reply = replicas[0].get("/me", &ann.cookie_line()).await;
    assert_eq!(
        reply.json(),
        json!({ "id": ann.user_id(), "amr": ["email"] })
    );
    let one = &replicas[0].descope;
    let tokens = [
        ann.session_jwt().to_owned(),
        ann.refresh_jwt().to_owned(),
        reply.cookie("DS").unwrap(),
        reply.cookie("DSR").unwrap(),
    ];
    one.revoke(Revocation::session_jwt(&tokens[2]))
        .await
        .unwrap();
    one.revoke(Revocation::refresh_jwt(&tokens[3]))
        .await
        .unwrap();
    let dump = replicas.store.dump();
    assert!(dump.len() >= 6, "an outcome, a predecessor, two notices");
    for found in dump {
        for token in &tokens {
            for part in token.split('.') {
                let part = &part.as_bytes()[..16];
                assert!(!found.windows(16).any(|window| window == part));
            }
        }
    }
}

// Security requirement 25: what is found outside is verified, times included.
#[tokio::test]
async fn a_writer_of_the_store_cannot_extend_a_session() {
    let replicas = Replicas::new(RefreshRotation::SingleUse).await;
    let day = Duration::from_secs(24 * 60 * 60);
    let ann = replicas.world.sign_in_long_ago("ann@example.com").await;
    let other = replicas.world.sign_in_long_ago("ann@example.com").await;
    let sessions = replicas.world.descope.client().session();
    for refresh in [ann.refresh_jwt(), other.refresh_jwt()] {
        let token = tower_descope::client::RefreshToken::new(refresh).unwrap();
        sessions.logout(&token).await.unwrap();
    }
    // The session is over, and Descope renews it no more. Its owner can seal what she likes under her own token.
    for refresh in ["", ann.refresh_jwt()] {
        let outcome =
            json!({ "tokens": { "sessionJwt": ann.session_jwt(), "refreshJwt": refresh } });
        replicas.store.put_outcome(ann.refresh_jwt(), &outcome, day);
        for replica in &replicas.replicas {
            let reply = replica.get("/me", &ann.cookie_line()).await;
            assert_eq!(reply.status(), 401, "{}", reply.body);
        }
    }
    assert_eq!(replicas.world.refreshes(), 1, "upstream is asked instead");

    // Outcomes that lead to each other lead nowhere.
    for (from, to) in [(&ann, &other), (&other, &ann)] {
        let outcome = json!({ "tokens": { "sessionJwt": ann.session_jwt(), "refreshJwt": to.refresh_jwt() } });
        replicas
            .store
            .put_outcome(from.refresh_jwt(), &outcome, day);
    }
    let third = replicas.start().await;
    let reply = third.get("/me", &ann.cookie_line()).await;
    assert_eq!((reply.status(), reply.set_cookies().len()), (503, 0));

    // Nor does somebody else's session.
    let bob = replicas.world.sign_in("bob@example.com").await;
    let outcome =
        json!({ "tokens": { "sessionJwt": bob.session_jwt(), "refreshJwt": bob.refresh_jwt() } });
    replicas.store.put_outcome(ann.refresh_jwt(), &outcome, day);
    let third = replicas.start().await;
    let reply = third.get("/me", &ann.cookie_line()).await;
    assert_eq!((reply.status(), reply.set_cookies().len()), (503, 0));
}

#[tokio::test]
async fn an_outcome_that_is_over_does_not_stand_in_the_way_of_a_renewal() {
    let replicas = Replicas::new(RefreshRotation::SingleUse).await;
    let ann = replicas.world.sign_in_long_ago("ann@example.com").await;
    let outcome = json!({ "tokens": { "sessionJwt": ann.session_jwt(), "refreshJwt": "" } });
    let day = Duration::from_secs(24 * 60 * 60);
    replicas.store.put_outcome(ann.refresh_jwt(), &outcome, day);
    let reply = replicas[0].get("/me", &ann.cookie_line()).await;
    assert_eq!((reply.status(), replicas.world.refreshes()), (200, 1));
    let twin = replicas[1].get("/me", &ann.cookie_line()).await;
    assert_eq!(twin.set_cookies(), reply.set_cookies());
    assert_eq!(replicas.world.refreshes(), 1);
}

#[tokio::test]
async fn a_writer_of_the_store_cannot_lock_a_user_out_for_ever() {
    let replicas = Replicas::new(RefreshRotation::None).await;
    let ann = replicas.world.sign_in("ann@example.com").await;
    for issued_until in [i64::MAX, 4_000_000_000] {
        let notice = json!({ "subject": { "sub": ann.user_id(), "issued_until": issued_until } });
        replicas.store.put_notice(&notice);
    }
    replicas[0].answers_soon(&ann.cookie_line(), 401).await;
    // A date in the future counts as about now, and who signs in after that is let in.
    replicas.pass(Duration::from_secs(61));
    let ann = replicas.world.sign_in("ann@example.com").await;
    assert_eq!(
        replicas[0].get("/me", &ann.cookie_line()).await.status(),
        200
    );
    // Nor is a date harmful that no token has.
    for exp in [i64::MAX, i64::MIN, 0] {
        let id = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        let token = json!({ "token": { "id": id, "exp": exp } });
        let session = json!({ "session": { "id": id, "digest": id, "exp": exp } });
        replicas.store.put_notice(&token);
        replicas.store.put_notice(&session);
    }
    replicas
        .store
        .put_notice(&json!({ "subject": { "sub": "x".repeat(1 << 20), "issued_until": 0 } }));
    let one = &replicas[1].descope;
    one.revoke(Revocation::session_jwt(ann.session_jwt()))
        .await
        .unwrap();
    replicas[0]
        .answers_soon(&format!("DS={}", ann.session_jwt()), 401)
        .await;
}

// One value per session that is alive, however often it is renewed.
#[tokio::test]
async fn the_store_does_not_fill_up() {
    let replicas = Replicas::new(RefreshRotation::SingleUse).await;
    let ann = replicas.world.sign_in_long_ago("ann@example.com").await;
    let mut refresh = ann.refresh_jwt().to_owned();
    for n in 0..10 {
        let reply = replicas[n % 2].get("/me", &format!("DSR={refresh}")).await;
        refresh = reply.cookie("DSR").unwrap();
    }
    // What was delivered is shortened beside the responses, on a busy machine well after them.
    for _ in 0..250 {
        replicas.pass(Duration::from_secs(60));
        if replicas.store.values() <= 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(replicas.store.values(), 1);
}

#[tokio::test]
async fn extreme_options_do_no_harm() {
    let replicas = Replicas::new(RefreshRotation::SingleUse).await;
    let ann = replicas.world.sign_in_long_ago("ann@example.com").await;
    let clock = replicas.world.clock.clone();
    let descope = world::handle(&replicas.world.emulator, clock, |builder| {
        builder
            .shared_store(replicas.store.clone())
            .deadline(Duration::MAX)
            .keep_renewals_for(Duration::MAX)
    });
    let app = world::app(&descope);
    let extreme = Replica { descope, app };
    let reply = extreme.get("/me", &ann.cookie_line()).await;
    assert_eq!(reply.status(), 200);
    let revocation = Revocation::refresh_jwt(reply.cookie("DSR").unwrap());
    extreme.descope.revoke(revocation).await.unwrap();
    let reply = replicas[1].get("/me", &ann.cookie_line()).await;
    assert_ne!(reply.status(), 500);
}

// The task that listens to the others holds nothing alive.
#[tokio::test]
async fn a_dropped_handle_is_gone() {
    let Replicas {
        world,
        store,
        replicas,
    } = Replicas::new(RefreshRotation::None).await;
    drop(replicas);
    tokio::time::sleep(Duration::from_millis(600)).await;
    let metrics = tokio::runtime::Handle::current().metrics();
    let before = metrics.num_alive_tasks();
    let replica = Replicas {
        world,
        store,
        replicas: Vec::new(),
    };
    drop(replica.start().await);
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert!(metrics.num_alive_tasks() <= before);
}
