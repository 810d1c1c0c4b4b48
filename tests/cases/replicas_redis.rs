//! Four processes and a real Redis server, against one emulator whose calls are counted.
//!
//! This binary is also the replica: it starts itself again, with [`REPLICA`] in the environment.

use std::io::Read;
use std::process::{Child, Command, ExitCode};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::support::needs;
use crate::support::redis_server::RedisServer;
use crate::support::replica_process;
use crate::support::tls::Authority;
use crate::support::world::{self, CookieLine as _, REFRESH, World};
use axum::Router;
use axum::extract::{Path, State};
use axum::routing::post;
use libtest_mimic::Trial;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower_descope::emulator::{Fault, RefreshRotation};
use tower_descope::store::{RedisStore, SharedStore, StoreKey};
use tower_descope::{Descope, Revocation};

/// Base URL, project and Redis URL.
const REPLICA: &str = "TOWER_DESCOPE_TEST_REPLICA";
const PROCESSES: usize = 4;

/// What this program does if a test started it as one of the processes.
pub fn replica() -> Option<ExitCode> {
    let setting = std::env::var(REPLICA).ok()?;
    runtime().block_on(serve(&setting));
    Some(ExitCode::SUCCESS)
}

pub fn trials() -> Vec<Trial> {
    let tls = RedisServer::find_with_tls();
    let mut trials = needs::trials("replicas_tls", "redis", tls, |()| {
        vec![
            trial("the_store_keeps_its_promises_over_tls", tls_conformance),
            trial("a_certificate_of_a_stranger_is_refused", tls_strangers),
            trial("a_server_may_ask_for_a_certificate", tls_clients),
        ]
    });
    trials.extend(needs::trials(
        "replicas",
        "redis",
        RedisServer::find(),
        |()| {
            vec![
                trial("one_renewal_serves_four_processes", stampede),
                trial(
                    "a_dead_redis_does_not_matter_while_sessions_are_fresh",
                    fresh,
                ),
                trial("a_dead_redis_does_not_matter_with_a_reuse_interval", reuse),
                trial("a_redis_that_dies_during_a_renewal_does_not_matter", midway),
                trial("without_redis_one_replica_wins_a_single_use_token", lost),
                trial("a_redis_that_says_nothing_holds_nobody_up", frozen),
                trial("a_process_that_dies_renewing_signs_nobody_out", died),
                trial("what_one_process_ends_all_refuse_within_a_second", revoked),
                trial("the_store_keeps_its_promises", conformance),
                trial("many_notices_are_read_in_parts", catching_up),
                trial("the_documented_rights_are_all_it_needs", acl),
                trial(
                    "who_signs_in_after_logoutall_is_let_in_everywhere",
                    signed_in_again,
                ),
            ]
        },
    ));
    trials
}

fn trial<F: Future<Output = ()> + 'static>(name: &str, test: fn() -> F) -> Trial {
    Trial::test(name, move || {
        runtime().block_on(test());
        Ok(())
    })
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Runtime::new().unwrap()
}

/// 2,000 requests at once are as many sockets, and shells often allow 1024.
pub fn allow_many_files() {
    use std::os::unix::process::CommandExt;
    const RAISED: &str = "TOWER_DESCOPE_TEST_FILES";
    if std::env::var_os(RAISED).is_none() {
        let raise = r#"ulimit -n "$(ulimit -H -n)" 2>/dev/null; exec "$0" "$@""#;
        let error = Command::new("sh")
            .args(["-c", raise])
            .args(std::env::args_os())
            .env(RAISED, "1")
            .exec();
        eprintln!("cannot raise the limit of open files: {error}");
    }
}

// Exactly one refresh, and nobody gets a 401.
async fn stampede() {
    let cluster = Cluster::start(RefreshRotation::SingleUse).await;
    let ann = cluster.world.sign_in_long_ago("ann@example.com").await;
    let bob = cluster.world.sign_in("bob@example.com").await;
    cluster.latency(200);
    let began = Instant::now();
    let replies = cluster.burst(2000, &ann.cookie_line()).await;
    println!("2,000 requests at four processes: {:?}", began.elapsed());
    for reply in &replies {
        assert_eq!(reply.status, 200);
        let cookies = reply.session_cookies();
        assert!(cookies == replies[0].session_cookies());
    }
    assert_eq!(cluster.world.refreshes(), 1);

    let path = format!("/revoke/session/{}", bob.session_jwt());
    let reply = request(cluster.replicas[0].port, "POST", &path, "").await;
    assert_eq!(reply.status, 200);
    let found = dump(&cluster.redis).await;
    assert!(found.len() >= 8, "an outcome, a predecessor, a notice");
    let renewed = [replies[0].session(), replies[0].refresh()];
    let tokens = [ann.session_jwt(), ann.refresh_jwt(), bob.session_jwt()].into_iter();
    let tokens = tokens.chain(renewed.iter().map(String::as_str));
    for token in tokens {
        for part in token.split('.').map(|part| &part.as_bytes()[..16]) {
            let shows = |found: &Vec<u8>| found.windows(16).any(|window| window == part);
            assert!(!found.iter().any(shows), "a token lies in Redis");
        }
    }
}

async fn fresh() {
    let mut cluster = Cluster::start(RefreshRotation::SingleUse).await;
    let ann = cluster.world.sign_in("ann@example.com").await;
    let before = cluster.burst(100, &ann.cookie_line()).await;
    cluster.redis.kill();
    let after = cluster.burst(400, &ann.cookie_line()).await;
    for reply in before.iter().chain(&after) {
        assert_eq!((reply.status, reply.cookies.len()), (200, 0));
    }
    assert_eq!(cluster.world.refreshes(), 0);
}

async fn reuse() {
    let mut cluster = Cluster::start(RefreshRotation::ReuseInterval).await;
    let ann = cluster.world.sign_in_long_ago("ann@example.com").await;
    cluster.latency(100);
    cluster.redis.kill();
    let replies = cluster.burst(400, &ann.cookie_line()).await;
    assert!(replies.iter().all(|reply| reply.status == 200));
    let refresh = replies[0].refresh();
    assert!(replies.iter().all(|reply| reply.refresh() == refresh));
    assert_eq!(cluster.world.refreshes(), PROCESSES as u64);
}

async fn midway() {
    let mut cluster = Cluster::start(RefreshRotation::ReuseInterval).await;
    let ann = cluster.world.sign_in_long_ago("ann@example.com").await;
    cluster.latency(400);
    let cookies = ann.cookie_line();
    let burst = cluster.burst(400, &cookies);
    let burst = tokio::spawn(burst);
    tokio::time::sleep(Duration::from_millis(200)).await;
    cluster.redis.kill();
    let replies = burst.await.unwrap();
    assert!(replies.iter().all(|reply| reply.status == 200));
    assert!(cluster.world.refreshes() <= PROCESSES as u64);
}

async fn lost() {
    let mut cluster = Cluster::start(RefreshRotation::SingleUse).await;
    let ann = cluster.world.sign_in_long_ago("ann@example.com").await;
    cluster.latency(100);
    cluster.redis.kill();
    let replies = cluster.burst(400, &ann.cookie_line()).await;
    let mut winners = Vec::new();
    for (n, replies) in (0..PROCESSES).map(|n| (n, replies.iter().skip(n).step_by(PROCESSES))) {
        let statuses: Vec<_> = replies.clone().map(|reply| reply.status).collect();
        if statuses.iter().all(|status| *status == 200) {
            winners.push(n);
        } else {
            assert!(statuses.iter().all(|status| matches!(status, 401 | 503)));
            assert!(replies.into_iter().all(|reply| reply.cookies.is_empty()));
        }
    }
    assert_eq!(winners.len(), 1);
    assert_eq!(cluster.world.refreshes(), PROCESSES as u64);
    let next = replies[winners[0]].session_cookies();
    for reply in cluster.burst(PROCESSES, &next).await {
        assert_eq!(reply.status, 200);
    }

    // It comes back, empty, and all is as before.
    cluster.redis.restart();
    tokio::time::sleep(Duration::from_millis(600)).await;
    let bob = cluster.world.sign_in_long_ago("bob@example.com").await;
    let before = cluster.world.refreshes();
    for reply in cluster.burst(400, &bob.cookie_line()).await {
        assert_eq!(reply.status, 200);
    }
    assert_eq!(cluster.world.refreshes() - before, 1);
}

async fn frozen() {
    let cluster = Cluster::start(RefreshRotation::ReuseInterval).await;
    let mut sessions = Vec::new();
    for n in 0..8 {
        let address = format!("ann{n}@example.com");
        sessions.push(cluster.world.sign_in_long_ago(&address).await);
    }
    cluster.redis.freeze();
    // Those who find out wait for half a second, nobody after them does: that would be four seconds.
    let began = Instant::now();
    for session in &sessions {
        let replies = cluster.burst(PROCESSES, &session.cookie_line()).await;
        assert!(replies.iter().all(|reply| reply.status == 200));
    }
    println!(
        "eight renewals without an answer from Redis: {:?}",
        began.elapsed()
    );
    assert!(began.elapsed() < Duration::from_millis(2500));

    cluster.redis.thaw();
    tokio::time::sleep(Duration::from_millis(1200)).await;
    let cid = cluster.world.sign_in_long_ago("cid@example.com").await;
    let before = cluster.world.refreshes();
    let replies = cluster.burst(100, &cid.cookie_line()).await;
    assert!(replies.iter().all(|reply| reply.status == 200));
    assert_eq!(cluster.world.refreshes() - before, 1);
}

/// It takes its lock along. Whoever asks before the lease is over is told to come back; nobody else spends the token.
async fn died() {
    for rotation in [RefreshRotation::SingleUse, RefreshRotation::ReuseInterval] {
        let world = World::in_real_time().await;
        world.rotation(rotation);
        let redis = RedisServer::start();
        let doomed = Replica::start(&world, &redis);
        let survivor = world::handle(&world.emulator, world.clock.clone(), |builder| {
            let store = RedisStore::open(&redis.url(), world.emulator.project_id()).unwrap();
            let deadline = Duration::from_millis(250);
            builder.shared_store(store).deadline(deadline)
        });
        survivor.ready().await.unwrap();
        let ann = world.sign_in_long_ago("ann@example.com").await;
        // Either the call has not been carried out, or the old token still works.
        if rotation == RefreshRotation::SingleUse {
            world.emulator.fault(Fault::hang(REFRESH));
        } else {
            world
                .emulator
                .configure(|config| config.latency_ms = 60_000);
        }
        let mut stream = TcpStream::connect(("127.0.0.1", doomed.port))
            .await
            .unwrap();
        let head = format!(
            "GET /me HTTP/1.1\r\nhost: x\r\ncookie: {}\r\n\r\n",
            ann.cookie_line()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let began = Instant::now();
        while world.refreshes() == 0 {
            assert!(began.elapsed() < Duration::from_secs(5));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        drop(doomed);
        world.emulator.configure(|config| config.latency_ms = 0);

        let world = World {
            app: world::app(&survivor),
            ..world
        };
        for _ in 0..2 {
            let reply = world.browse("/me", &ann).await;
            assert_eq!((reply.status(), reply.set_cookies().len()), (503, 0));
            assert_eq!(reply.header("retry-after"), Some("5"));
        }
        assert_eq!(world.refreshes(), 1);
        let left = end_lease(&redis).await;
        assert!(left > Duration::ZERO && left <= Duration::from_secs(15));
        let reply = world.browse("/me", &ann).await;
        assert_eq!((reply.status(), world.refreshes()), (200, 2));
        assert_ne!(reply.cookie("DSR").unwrap(), ann.refresh_jwt());
    }
}

/// Ends the one lease there is as time would, and tells how long it had.
async fn end_lease(redis: &RedisServer) -> Duration {
    let client = redis::Client::open(redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let mut command = redis::cmd("KEYS");
    let locks: Vec<String> = command
        .arg("*lock*")
        .query_async(&mut connection)
        .await
        .unwrap();
    let [lock] = &locks[..] else {
        panic!("{} locks", locks.len());
    };
    let mut command = redis::cmd("PTTL");
    let left: i64 = command
        .arg(lock)
        .query_async(&mut connection)
        .await
        .unwrap();
    let mut command = redis::cmd("DEL");
    let () = command
        .arg(lock)
        .query_async(&mut connection)
        .await
        .unwrap();
    Duration::from_millis(left.try_into().expect("a lease ends"))
}

async fn revoked() {
    let cluster = Cluster::start(RefreshRotation::None).await;
    let ann = cluster.world.sign_in("ann@example.com").await;
    let bob = cluster.world.sign_in("bob@example.com").await;
    let session = format!("DS={}", ann.session_jwt());
    for cookies in [&session, &bob.cookie_line()] {
        let replies = cluster.burst(PROCESSES, cookies).await;
        assert!(replies.iter().all(|reply| reply.status == 200));
    }
    // The emulator stamps whole seconds; so do revocations of users.
    for (path, cookies) in [
        (format!("/revoke/session/{}", ann.session_jwt()), &session),
        (
            format!("/revoke/user/{}", bob.user_id()),
            &bob.cookie_line(),
        ),
    ] {
        let reply = request(cluster.replicas[0].port, "POST", &path, "").await;
        assert_eq!(reply.status, 200);
        let began = Instant::now();
        loop {
            let replies = cluster.burst(PROCESSES, cookies).await;
            if replies.iter().all(|reply| reply.status == 401) {
                break;
            }
            assert!(began.elapsed() < Duration::from_secs(1));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        println!("refused on all after {:?}", began.elapsed());
    }
    // A replica that starts later has heard of it before it is ready.
    let late = Replica::start(&cluster.world, &cluster.redis);
    for cookies in [&session, &bob.cookie_line()] {
        assert_eq!(request(late.port, "GET", "/me", cookies).await.status, 401);
    }
}

// `iat` has seconds only. The processes keep real time here, as they do in operation.
async fn signed_in_again() {
    let cluster = Cluster::start(RefreshRotation::None).await;
    let emulator = &cluster.world.emulator;
    let sign_in = async |n: usize| {
        let port = cluster.replicas[n].port;
        let address = "ann@example.com";
        let body = serde_json::json!({ "loginId": address });
        let reply = post_json(port, "/auth/v1/auth/otp/signup-in/email", "", &body).await;
        assert_eq!(reply.status, 200);
        let code = emulator.last_code(address).unwrap();
        let body = serde_json::json!({ "loginId": address, "code": code });
        let reply = post_json(port, "/auth/v1/auth/otp/verify/email", "", &body).await;
        assert_eq!(reply.status, 200);
        reply.session_cookies()
    };
    let all = async |cookies: &str| {
        let replies = cluster.burst(PROCESSES, cookies).await;
        replies.iter().map(|reply| reply.status).collect::<Vec<_>>()
    };
    for _ in 0..3 {
        let before = sign_in(0).await;
        let elsewhere = sign_in(1).await;
        // Early in a second, so that there is time for everything else in the same one.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let rest =
            Duration::from_secs(1).saturating_sub(Duration::from_nanos(now.subsec_nanos().into()));
        tokio::time::sleep(rest).await;
        let port = cluster.replicas[0].port;
        let reply = post_json(
            port,
            "/auth/v1/auth/logoutall",
            &before,
            &serde_json::json!({}),
        )
        .await;
        assert_eq!(reply.status, 200);
        let after = sign_in(2).await;
        tokio::time::sleep(Duration::from_millis(600)).await;
        assert_eq!(all(&after).await, [200; PROCESSES]);
        // And nothing that was there before.
        assert_eq!(all(&before).await, [401; PROCESSES]);
        assert_eq!(all(&elsewhere).await, [401; PROCESSES]);
    }
}

// What the trait promises, and how replicas that share a Redis rely on it.
async fn conformance() {
    let redis = RedisServer::start();
    let (one, two) = (store(&redis), store(&redis));
    keeps_its_promises(&one, &two).await;

    // Another project on the same server sees nothing of this.
    let (a, second) = (StoreKey::new([1; 32]), Duration::from_secs(1));
    assert!(one.lock(&a, b"one", second).await.unwrap());
    let other = RedisStore::open(&redis.url(), "P2other").unwrap();
    assert!(other.lock(&a, b"other", second).await.unwrap());
    one.publish(b"notice", second).await.unwrap();
    assert!(other.notices(None).await.unwrap().notices.is_empty());
}

async fn keeps_its_promises(one: &RedisStore, two: &RedisStore) {
    let (a, b) = (StoreKey::new([1; 32]), StoreKey::new([2; 32]));
    let second = Duration::from_secs(1);

    assert!(one.lock(&a, b"one", second).await.unwrap());
    assert!(!two.lock(&a, b"two", second).await.unwrap());
    assert!(!one.lock(&a, b"one", second).await.unwrap());
    assert!(two.lock(&b, b"two", second).await.unwrap());
    two.unlock(&a, b"two").await.unwrap();
    assert!(!two.lock(&a, b"two", second).await.unwrap());
    one.unlock(&a, b"one").await.unwrap();
    let short = Duration::from_millis(50);
    assert!(two.lock(&a, b"two", short).await.unwrap());
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(one.lock(&a, b"one", second).await.unwrap(), "a lease ends");

    assert_eq!(two.get(&a).await.unwrap(), None, "locks are no values");
    one.put(&a, b"\0\xff value", 10 * second).await.unwrap();
    let found = two.get(&a).await.unwrap().unwrap();
    assert_eq!(found.value, b"\0\xff value");
    assert!(found.expires_in > 9 * second && found.expires_in <= 10 * second);
    two.shorten(&a, 20 * second).await.unwrap();
    two.shorten(&a, 5 * second).await.unwrap();
    two.shorten(&a, 8 * second).await.unwrap();
    let found = one.get(&a).await.unwrap().unwrap();
    assert!(found.expires_in > 4 * second && found.expires_in <= 5 * second);
    one.put(&a, b"other", 10 * second).await.unwrap();
    assert_eq!(two.get(&a).await.unwrap().unwrap().value, b"other");
    one.shorten(&a, Duration::ZERO).await.unwrap();
    assert_eq!(two.get(&a).await.unwrap(), None);
    two.shorten(&a, second).await.unwrap();

    one.unlock(&a, b"one").await.unwrap();
}

/// A store with the authority of the server.
fn over_tls(redis: &RedisServer, authority: &Authority) -> RedisStore {
    let store = RedisStore::open(&redis.url(), "P2").unwrap();
    store.ca_certificates(authority.pem().as_bytes()).unwrap()
}

/// Whether the server can be used, and if not, why.
async fn works(store: &RedisStore) -> Result<(), String> {
    let answer = store.get(&StoreKey::new([9; 32])).await;
    answer.map(drop).map_err(|error| error.to_string())
}

async fn tls_conformance() {
    let authority = Authority::new();
    let mut redis = RedisServer::start_with_tls(&authority, false);
    let stores = [(); 2].map(|()| over_tls(&redis, &authority));
    keeps_its_promises(&stores[0], &stores[1]).await;
    reads_in_parts(&stores[0]).await;
    // A dead server is an outage like any other, and its successor is found.
    redis.kill();
    works(&stores[0]).await.unwrap_err();
    redis.restart();
    works(&stores[0]).await.unwrap();
}

// Security requirement 25: what is at the other end proves who it is.
async fn tls_strangers() {
    let authority = Authority::new();
    let redis = RedisServer::start_with_tls(&authority, false);
    let url = redis.url();
    let by_address = url.replace("localhost", "127.0.0.1");
    let of_machine = RedisStore::open(&url, "P2").unwrap();
    let stranger = over_tls(&redis, &Authority::new());
    let elsewhere = RedisStore::open(&by_address, "P2").unwrap();
    let elsewhere = elsewhere.ca_certificates(authority.pem().as_bytes());
    for store in [of_machine, stranger, elsewhere.unwrap()] {
        works(&store).await.unwrap_err();
    }
    let plain = url.replace("rediss:", "redis:");
    works(&RedisStore::open(&plain, "P2").unwrap())
        .await
        .unwrap_err();
    works(&over_tls(&redis, &authority)).await.unwrap();
}

async fn tls_clients() {
    let authority = Authority::new();
    let redis = RedisServer::start_with_tls(&authority, true);
    works(&over_tls(&redis, &authority)).await.unwrap_err();
    let (chain, key) = authority.issue("app");
    let identified = over_tls(&redis, &authority)
        .client_certificate(chain.as_bytes(), key.as_bytes())
        .unwrap();
    works(&identified).await.unwrap();
    let (_, other_key) = authority.issue("app");
    over_tls(&redis, &authority)
        .client_certificate(chain.as_bytes(), other_key.as_bytes())
        .unwrap_err();
}

/// What the documentation of the store shows.
fn documented_rights() -> Vec<String> {
    let line = include_str!("../../src/store/redis/acl.txt").trim_end();
    let rights = line.strip_prefix("ACL SETUSER ").expect("a command");
    rights
        .replace("<password>", "hunter2")
        .replace("<namespace>", "P2")
        .split(' ')
        .map(str::to_owned)
        .collect()
}

async fn acl() {
    let redis = RedisServer::start();
    let client = redis::Client::open(redis.url()).unwrap();
    let mut admin = client.get_multiplexed_async_connection().await.unwrap();
    let mut command = redis::cmd("ACL");
    command.arg("SETUSER").arg(documented_rights());
    let () = command.query_async(&mut admin).await.unwrap();

    let with_rights = redis.url().replace("://", "://tower-descope:hunter2@");
    for url in [with_rights.clone(), format!("{with_rights}1")] {
        let [one, two] = [(); 2].map(|()| RedisStore::open(&url, "P2").unwrap());
        keeps_its_promises(&one, &two).await;
        reads_in_parts(&one).await;
    }
    let mut command = redis::cmd("ACL");
    command.arg("LOG");
    let denied: Vec<redis::Value> = command.query_async(&mut admin).await.unwrap();
    // The crate `redis` introduces itself and does without an answer.
    for entry in denied {
        let entry = format!("{entry:?}");
        assert!(entry.contains("client|setinfo"), "{entry}");
    }

    let client = redis::Client::open(with_rights).unwrap();
    let mut store = client.get_multiplexed_async_connection().await.unwrap();
    for denied in [
        &["GET", "somebody else's"][..],
        &["GET", "tower-descope:P2other:entry"],
        &["KEYS", "*"],
        &["FLUSHALL"],
        &["CONFIG", "GET", "*"],
        &["SCRIPT", "FLUSH"],
        &["EVAL", "return 1", "0"],
    ] {
        let mut command = redis::cmd(denied[0]);
        command.arg(&denied[1..]);
        let answer: Result<redis::Value, _> = command.query_async(&mut store).await;
        let error = answer.expect_err(denied[0]).to_string();
        assert!(error.to_lowercase().contains("perm"), "{denied:?}: {error}");
    }
}

async fn catching_up() {
    let redis = RedisServer::start();
    reads_in_parts(&store(&redis)).await;
}

async fn reads_in_parts(store: &RedisStore) {
    let all = async |mut cursor: Option<_>| {
        let mut notices = Vec::new();
        loop {
            let found = store.notices(cursor.as_ref()).await.unwrap();
            notices.extend(found.notices);
            cursor = Some(found.cursor);
            if !found.more {
                notices.sort();
                notices.dedup();
                return (notices, cursor);
            }
        }
    };
    let (notices, start) = all(None).await;
    assert!(notices.is_empty());
    let ttl = Duration::from_secs(60);
    let publish = (0..2500).map(|n| format!("notice {n:04}"));
    let publish: Vec<_> = publish.map(String::into_bytes).collect();
    for notice in &publish {
        store.publish(notice, ttl).await.unwrap();
    }
    let short = Duration::from_millis(50);
    store.publish(b"short-lived", short).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    store.publish(b"last", ttl).await.unwrap();

    let (notices, end) = all(start).await;
    assert_eq!(notices.len(), 2502, "who was there hears everything");
    let (notices, _) = all(None).await;
    assert_eq!(
        notices.len(),
        2501,
        "who comes later hears what still counts"
    );
    assert!(publish.iter().all(|notice| notices.contains(notice)));
    let (notices, end) = all(end).await;
    assert!(notices.is_empty());
    store.publish(b"one more", ttl).await.unwrap();
    assert_eq!(all(end).await.0, [b"one more"]);
}

fn store(redis: &RedisServer) -> RedisStore {
    RedisStore::open(&redis.url(), "P2").unwrap()
}

/// All keys and values.
async fn dump(redis: &RedisServer) -> Vec<Vec<u8>> {
    let client = redis::Client::open(redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let keys: Vec<String> = redis::cmd("KEYS")
        .arg("*")
        .query_async(&mut connection)
        .await
        .unwrap();
    let mut found = Vec::new();
    for key in keys {
        let kind: String = redis::cmd("TYPE")
            .arg(&key)
            .query_async(&mut connection)
            .await
            .unwrap();
        let (command, range): (_, &[&str]) = match &*kind {
            "string" => ("GET", &[]),
            "zset" => ("ZRANGE", &["0", "-1"]),
            "stream" => ("XRANGE", &["-", "+"]),
            other => panic!("a {other} in Redis"),
        };
        let mut read = redis::cmd(command);
        read.arg(&key).arg(range);
        let content: redis::Value = read.query_async(&mut connection).await.unwrap();
        found.push(key.into_bytes());
        flatten(content, &mut found);
    }
    found
}

fn flatten(value: redis::Value, found: &mut Vec<Vec<u8>>) {
    match value {
        redis::Value::Array(values) => values.into_iter().for_each(|v| flatten(v, found)),
        redis::Value::BulkString(bytes) => found.push(bytes),
        other => found.push(format!("{other:?}").into_bytes()),
    }
}

/// Ends in this order, so that no replica outlives what it talks to.
struct Cluster {
    replicas: Vec<Replica>,
    world: World,
    redis: RedisServer,
}

impl Cluster {
    async fn start(rotation: RefreshRotation) -> Self {
        let world = World::in_real_time().await;
        world.rotation(rotation);
        let redis = RedisServer::start();
        let replicas = (0..PROCESSES).map(|_| Replica::start(&world, &redis));
        Self {
            replicas: replicas.collect(),
            world,
            redis,
        }
    }

    fn latency(&self, millis: u32) {
        let emulator = &self.world.emulator;
        emulator.configure(|config| config.latency_ms = millis);
    }

    /// So many requests at once, each to the next process.
    fn burst(&self, requests: usize, cookies: &str) -> impl Future<Output = Vec<Answer>> + use<> {
        let ports: Vec<_> = self.replicas.iter().map(|replica| replica.port).collect();
        let cookies = cookies.to_owned();
        async move {
            let answers: Vec<_> = (0..requests)
                .map(|n| {
                    let (port, cookies) = (ports[n % ports.len()], cookies.clone());
                    tokio::spawn(async move { request(port, "GET", "/me", &cookies).await })
                })
                .collect();
            let mut all = Vec::new();
            for answer in answers {
                all.push(answer.await.unwrap());
            }
            all
        }
    }
}

/// A process of its own; gone with this value.
struct Replica {
    port: u16,
    process: Child,
}

impl Replica {
    fn start(world: &World, redis: &RedisServer) -> Self {
        let emulator = &world.emulator;
        let setting = [emulator.base_url(), emulator.project_id(), &redis.url()].join(" ");
        let (process, port) = replica_process::start([(REPLICA, &*setting)]);
        Self {
            port: port.parse().expect("the port of the replica"),
            process,
        }
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What a replica does.
async fn serve(setting: &str) {
    // Ends with its parent, however that ends.
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    // RUST_LOG shows more than errors.
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let [base_url, project, redis] = setting.split(' ').collect::<Vec<_>>()[..] else {
        panic!("malformed setting");
    };
    let descope = Descope::builder(project)
        .base_url(base_url)
        .shared_store(RedisStore::open(redis, project).unwrap())
        .build()
        .unwrap();
    descope.ready().await.unwrap();
    let revoke = async |State(descope): State<Descope>,
                        Path((kind, what)): Path<(String, String)>| {
        let revocation = match &*kind {
            "user" => Revocation::user(what),
            _ => Revocation::session_jwt(what),
        };
        descope.revoke(revocation).await.unwrap();
    };
    let revocations = Router::new()
        .route("/revoke/{kind}/{what}", post(revoke))
        .with_state(descope.clone());
    let app = world::app(&descope)
        .merge(revocations)
        .nest("/auth", descope.routes());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap().port());
    axum::serve(listener, app).await.unwrap();
}

struct Answer {
    status: u16,
    /// Lines of `Set-Cookie`.
    cookies: Vec<String>,
}

impl Answer {
    fn session(&self) -> String {
        self.cookie("DS=")
    }

    fn refresh(&self) -> String {
        self.cookie("DSR=")
    }

    fn session_cookies(&self) -> String {
        format!("DS={}; DSR={}", self.session(), self.refresh())
    }

    fn cookie(&self, prefix: &str) -> String {
        let value = self.cookies.iter().find_map(|c| c.strip_prefix(prefix));
        value.unwrap().split(';').next().unwrap().to_owned()
    }
}

async fn request(port: u16, method: &str, path: &str, cookies: &str) -> Answer {
    send(port, method, path, cookies, "").await
}

async fn post_json(port: u16, path: &str, cookies: &str, body: &serde_json::Value) -> Answer {
    send(port, "POST", path, cookies, &body.to_string()).await
}

async fn send(port: u16, method: &str, path: &str, cookies: &str, body: &str) -> Answer {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncookie: {cookies}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let head = answer.split("\r\n\r\n").next().unwrap_or_default();
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1));
    Answer {
        status: status.and_then(|status| status.parse().ok()).unwrap_or(0),
        cookies: lines
            .filter_map(|line| line.strip_prefix("set-cookie: "))
            .map(str::to_owned)
            .collect(),
    }
}
