//! What an authenticated request costs in instructions, counted by callgrind, as ratios to the same request without
//! sign-in in the same run. Fails when a ratio is above its limit.
//!
//! ```sh
//! cd benches/gate && cargo run --release             # needs valgrind
//! cargo run --release -- --slow                      # a layer that reads too much: has to fail
//! ```
//!
//! The program runs itself under callgrind. What is counted is what happens inside the functions `probe_*`.

#[path = "../../../tests/support/signer.rs"]
mod signer;
mod slow;

use std::collections::HashMap;
use std::hint::black_box;
use std::process::{Command, ExitCode};

use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature::{ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256};
use axum::Router;
use axum::body::Body;
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_executor::block_on;
use http::{HeaderValue, Request, Response};
use serde_json::json;
use signer::{PROJECT, Signer, jwks, session};
use tower::{Layer, Service, ServiceExt};
use tower_descope::__fuzzing::verifies_now;
use tower_descope::{Descope, TokenCache, User};

/// Sessions, each of which is asked for several times.
const LIVE: usize = 200;
const REQUESTS: usize = 2_000;
const SIGNATURES: usize = 50;

/// A probe, how often it runs, what it is compared with, and how many times as much it may cost. The limits are a
/// few percent above what was counted when they were set.
const PROBES: [Probe; 10] = [
    probe("probe_floor", REQUESTS, "probe_floor", 1.0),
    probe("probe_layer", REQUESTS, "probe_floor", 1.72),
    probe("probe_layer_user", REQUESTS, "probe_floor", 1.82),
    probe("probe_service_user", REQUESTS, "probe_floor", 1.60),
    probe("probe_hit", REQUESTS, "probe_floor", 0.13),
    probe("probe_raw", SIGNATURES, "probe_raw", 1.0),
    probe("probe_new", SIGNATURES, "probe_raw", 1.09),
    probe("probe_bad_signature", SIGNATURES, "probe_raw", 1.03),
    probe("probe_expired", SIGNATURES, "probe_raw", 0.04),
    probe("probe_garbage", REQUESTS, "probe_floor", 0.15),
];

struct Probe {
    name: &'static str,
    times: usize,
    base: &'static str,
    limit: f64,
}

const fn probe(name: &'static str, times: usize, base: &'static str, limit: f64) -> Probe {
    Probe {
        name,
        times,
        base,
        limit,
    }
}

fn main() -> ExitCode {
    let argument = std::env::args().nth(1).unwrap_or_default();
    match argument.as_str() {
        "--counted" | "--counted-slow" => {
            Stage::set(argument == "--counted-slow").play();
            ExitCode::SUCCESS
        }
        "" | "--slow" => judge(argument == "--slow"),
        _ => {
            eprintln!("unknown argument {argument}");
            ExitCode::from(2)
        }
    }
}

struct Stage {
    tokens: Vec<String>,
    cookies: Vec<HeaderValue>,
    expired: String,
    bad_signature: String,
    cached: Descope,
    uncached: Descope,
    raw_key: ParsedPublicKey,
    slow: bool,
}

impl Stage {
    fn set(slow: bool) -> Self {
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .expect("a clock after 1970")
            .as_secs() as i64;
        let signer = Signer::new("SK1");
        let claims = |n: usize, now: i64| {
            let mut claims = session(&format!("U2abcdefghijklmnopqrst{n:06}"), now);
            claims["permissions"] = json!(["doc.read", "doc.write"]);
            claims["roles"] = json!(["editor"]);
            claims["tenants"] = json!({
                "T2aaaaaaaaaaaaaaaaaaaaaaaaaaa": {"roles": ["owner"], "permissions": ["bill"]},
                "T2bbbbbbbbbbbbbbbbbbbbbbbbbbb": {"roles": ["member"], "permissions": []},
            });
            claims
        };
        let tokens: Vec<String> = (0..LIVE).map(|n| signer.sign(&claims(n, now))).collect();
        let cookies = tokens
            .iter()
            .map(|token| HeaderValue::try_from(format!("DS={token}")).expect("a cookie"))
            .collect();
        let mut bad_signature = tokens[0].clone();
        bad_signature.replace_range(bad_signature.len() - 12..bad_signature.len() - 8, "AAAA");
        let handle = |cache: TokenCache| {
            Descope::builder(PROJECT)
                .public_key(jwks([&signer]).to_string())
                .token_cache(cache)
                .build()
                .expect("a configuration")
        };
        Self {
            tokens,
            cookies,
            expired: signer.sign(&claims(0, now - 7200)),
            bad_signature,
            cached: handle(TokenCache::new()),
            uncached: handle(TokenCache::disabled()),
            raw_key: parsed_key(&signer),
            slow,
        }
    }

    fn play(&self) {
        let app = Router::new().route("/plain", get(async || "hello")).route(
            "/user",
            get(async |user: User| {
                black_box(user.id());
                "hello"
            }),
        );
        let floor = app.clone();
        let layered = app.clone().layer(self.cached.session_layer());
        let layered = match self.slow {
            true => layered.layer(slow::Slow),
            false => layered,
        };
        let outside = self.cached.session_layer().layer(app);

        for token in &self.tokens {
            assert!(verifies_now(&self.cached, token.as_bytes()));
        }
        assert!(!verifies_now(&self.cached, self.expired.as_bytes()));
        assert!(!verifies_now(&self.cached, self.bad_signature.as_bytes()));

        for n in 0..REQUESTS {
            let cookie = &self.cookies[n % LIVE];
            let token = self.tokens[n % LIVE].as_bytes();
            ok(probe_floor(&floor, cookie));
            ok(probe_layer(&layered, cookie));
            ok(probe_layer_user(&layered, cookie));
            ok(probe_service_user(&outside, cookie));
            assert!(probe_hit(&self.cached, token));
            assert!(!probe_garbage(&self.cached));
        }
        for n in 0..SIGNATURES {
            let token = &self.tokens[n % LIVE];
            assert!(probe_raw(&self.raw_key, token));
            assert!(probe_new(&self.uncached, token));
            assert!(!probe_bad_signature(&self.uncached, &self.bad_signature));
            assert!(!probe_expired(&self.uncached, &self.expired));
        }
    }
}

fn ok(response: Response<Body>) {
    assert_eq!(response.status(), 200);
}

/// A function that callgrind sees: not inlined, and not merged with others of the same code.
macro_rules! probes {
    ($(fn $name:ident $(<$service:ident>)? ($($argument:ident: $type:ty),*) -> $output:ty $body:block)*) => {$(
        #[inline(never)]
        fn $name $(<$service: App>)? ($($argument: $type),*) -> $output {
            black_box(stringify!($name));
            black_box($body)
        }
    )*};
}

probes! {
    fn probe_floor(app: &Router, cookie: &HeaderValue) -> Response<Body> {
        ask(app, "/plain", cookie)
    }

    fn probe_layer(app: &Router, cookie: &HeaderValue) -> Response<Body> {
        ask(app, "/plain", cookie)
    }

    fn probe_layer_user(app: &Router, cookie: &HeaderValue) -> Response<Body> {
        ask(app, "/user", cookie)
    }

    fn probe_service_user<S>(app: &S, cookie: &HeaderValue) -> Response<Body> {
        ask(app, "/user", cookie)
    }

    fn probe_hit(descope: &Descope, token: &[u8]) -> bool {
        verifies_now(descope, token)
    }

    fn probe_garbage(descope: &Descope) -> bool {
        verifies_now(descope, b"garbage")
    }

    fn probe_raw(key: &ParsedPublicKey, token: &str) -> bool {
        let (input, signature) = token.rsplit_once('.').expect("a token");
        let signature = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
        key.verify_sig(input.as_bytes(), &signature).is_ok()
    }

    fn probe_new(descope: &Descope, token: &str) -> bool {
        verifies_now(descope, token.as_bytes())
    }

    fn probe_bad_signature(descope: &Descope, token: &str) -> bool {
        verifies_now(descope, token.as_bytes())
    }

    fn probe_expired(descope: &Descope, token: &str) -> bool {
        verifies_now(descope, token.as_bytes())
    }
}

trait App:
    Service<Request<Body>, Response = Response<Body>, Error = std::convert::Infallible> + Clone
{
}

impl<S> App for S where
    S: Service<Request<Body>, Response = Response<Body>, Error = std::convert::Infallible> + Clone
{
}

fn ask<S: App>(app: &S, path: &'static str, cookie: &HeaderValue) -> Response<Body> {
    let request = Request::get(path)
        .header("cookie", cookie)
        .body(Body::empty())
        .expect("a request");
    block_on(app.clone().oneshot(request)).unwrap_or_else(|never| match never {})
}

fn parsed_key(signer: &Signer) -> ParsedPublicKey {
    let jwk = signer.jwk();
    let integer = |name: &str| {
        URL_SAFE_NO_PAD
            .decode(jwk[name].as_str().expect("a member"))
            .expect("base64url")
    };
    PublicKeyComponents {
        n: integer("n"),
        e: integer("e"),
    }
    .to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256)
    .expect("a good key")
}

/// Runs the probes under callgrind and compares.
fn judge(slow: bool) -> ExitCode {
    let counts = count(slow);
    let each = |name: &str| {
        let probe = PROBES.iter().find(|probe| probe.name == name);
        let total = counts.get(name).copied();
        match (probe, total) {
            (Some(probe), Some(total)) => total as f64 / probe.times as f64,
            _ => panic!("callgrind has not seen {name}"),
        }
    };
    let mut above = 0;
    println!(
        "{:<22} {:>12} {:>8} {:>8}",
        "", "instructions", "ratio", "limit"
    );
    for probe in &PROBES {
        let (own, base) = (each(probe.name), each(probe.base));
        let ratio = own / base;
        let verdict = if ratio > probe.limit { "  ABOVE" } else { "" };
        above += usize::from(ratio > probe.limit);
        println!(
            "{:<22} {own:>12.0} {ratio:>8.3} {:>8.3}{verdict}",
            probe.name.trim_start_matches("probe_"),
            probe.limit
        );
    }
    if above > 0 {
        eprintln!("{above} above the limit");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Instructions spent in each probe and what it calls.
fn count(slow: bool) -> HashMap<String, u64> {
    let file = std::env::temp_dir().join(format!("callgrind.{}", std::process::id()));
    let program = std::env::current_exe().expect("the path of this program");
    let status = Command::new("valgrind")
        .args(["--tool=callgrind", "--quiet"])
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(program)
        .arg(if slow { "--counted-slow" } else { "--counted" })
        .status()
        .expect("valgrind (Debian: valgrind)");
    assert!(status.success(), "the counted run failed: {status}");
    let table = Command::new("callgrind_annotate")
        .args(["--inclusive=yes", "--threshold=100", "--show-percs=no"])
        .arg(&file)
        .output()
        .expect("callgrind_annotate");
    std::fs::remove_file(&file).expect("its output");
    let mut counts = HashMap::new();
    for line in String::from_utf8_lossy(&table.stdout).lines() {
        let Some((count, rest)) = line.trim_start().split_once(' ') else {
            continue;
        };
        let Ok(count) = count.replace(',', "").parse::<u64>() else {
            continue;
        };
        let Some(at) = rest.find("::probe_") else {
            continue;
        };
        let name: String = rest[at + 2..]
            .chars()
            .take_while(|letter| letter.is_ascii_lowercase() || *letter == '_')
            .collect();
        // A probe and what the compiler made of its closures: the outermost has the most.
        let known = counts.entry(name).or_insert(0);
        *known = count.max(*known);
    }
    counts
}
