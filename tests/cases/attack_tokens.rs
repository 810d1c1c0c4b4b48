//! Hostile and benign tokens, from test vectors, against the public API.
//!
//! Each token goes three ways: through [`Descope::validate_session`], as a bearer and as the cookie `DS` through the
//! session layer. Security requirements 1 to 18 and 24; the vectors' categories name them.
//!
//! `must` and `should` are both hard here; a `should` that we decided otherwise would be in [`DEVIATIONS`].

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::support::fake::{Answer, Fake};
use crate::support::verdict::{Verdict, by_api, by_layer};
use crate::support::{needs, record};
use libtest_mimic::{Failed, Trial};
use serde_json::{Map, Value, json};
use tower_descope::clock::ManualClock;
use tower_descope::{AuthErrorKind, ConfigError, Descope, SignatureAlgorithm};

/// Cases of level `should` that end otherwise here, each with its reason.
const DEVIATIONS: &[(&str, &str)] = &[];

/// What a rejection may take when the vectors set no budget of their own. A debug build on a busy machine.
const ANY_BUDGET: Duration = Duration::from_millis(250);

/// Keys of unusual sizes, each with a token. Made for this test; their private parts are gone.
const RSA_SIZES: &str = include_str!("../data/rsa_sizes.json");

pub fn trials() -> Vec<Trial> {
    let found = needs::vectors("attack-tokens-public.json");
    let mut trials = needs::trials("attack tokens", "vectors", found, |vectors| {
        let vectors = Arc::new(vectors);
        let mut trials = Vec::new();
        for (list, run) in [
            ("cases", case as fn(&Value, &Value) -> Result<(), Failed>),
            ("sequences", sequence),
            ("jwks_variants", key_set),
        ] {
            for index in 0..vectors[list].as_array().map_or(0, Vec::len) {
                let vectors = vectors.clone();
                let name = text(&vectors[list][index], "name").to_owned();
                trials.push(Trial::test(name, move || {
                    run(&vectors, &vectors[list][index])
                }));
            }
        }
        assert!(trials.len() > 100, "the vectors lost their shape");
        trials
    });
    let sizes: Vec<Value> = serde_json::from_str(RSA_SIZES).unwrap();
    trials.extend(sizes.into_iter().map(|size| {
        let name = text(&size, "name").to_owned();
        Trial::test(name, move || rsa_size(&size))
    }));
    trials
}

/// Security requirement 16: 2048 to 8192 bits, whatever the backend's own limits are.
fn rsa_size(size: &Value) -> Result<(), Failed> {
    let descope = Descope::builder("P2aTestProject000000000000001")
        .base_url("http://127.0.0.1:1")
        .public_key(size["jwk"].to_string())
        .build();
    let accepted = match descope {
        Ok(descope) => block_on(descope.validate_session(text(size, "token"))).is_ok(),
        Err(error) => {
            ensure(matches!(error, ConfigError::PublicKey), || {
                error.to_string()
            })?;
            false
        }
    };
    record::verdict(text(size, "name"), accepted);
    ensure(accepted == (size["expect"] == "accept"), || {
        format!("accepted: {accepted}")
    })
}

/// One token against the key set of the file.
fn case(vectors: &Value, case: &Value) -> Result<(), Failed> {
    let token = token(case);
    block_on(async {
        let subject = Subject::new(vectors, case.get("config"), None);
        subject.serve(&vectors["jwks"]);
        subject.descope.ready().await.map_err(|e| e.to_string())?;
        let loaded = subject.fake.calls();

        let started = Instant::now();
        let verdict = by_api(&subject.descope, &token).await;
        let mut fastest = started.elapsed();
        record::verdict(text(case, "name"), &verdict);
        check(case, &verdict)?;
        if case["http_safe"] != false {
            let bearer = format!("Bearer {token}");
            let cookie = format!("a=b; DS={token}; c=d");
            for (name, value) in [("authorization", bearer), ("cookie", cookie)] {
                let verdict = by_layer(&subject.descope, &[(name, &value)]).await;
                check(case, &verdict).map_err(|e| in_layer(name, &e))?;
            }
        }

        let calls = subject.fake.calls() - loaded;
        let allowed = match (case["no_outbound"] == true, case["no_refetch"] == true) {
            (false, false) => 1,
            _ => 0,
        };
        ensure(
            calls <= allowed && subject.fake.calls_of(&subject.keys_path) == loaded + calls,
            || format!("{calls} calls, allowed {allowed}, to the key endpoint alone"),
        )?;

        let budget = case["budget_ms"]
            .as_u64()
            .map_or(ANY_BUDGET, Duration::from_millis);
        // The machine may be busy; the fastest of a few runs tells what the work costs.
        for _ in 0..20 {
            if fastest <= budget {
                break;
            }
            let started = Instant::now();
            by_api(&subject.descope, &token).await;
            fastest = fastest.min(started.elapsed());
        }
        ensure(fastest <= budget, || format!("took {fastest:?}"))?;
        with_more_algorithms(vectors, case, &token).await
    })
}

/// What is refused for its algorithm alone is accepted once that algorithm is enabled.
async fn with_more_algorithms(vectors: &Value, case: &Value, token: &str) -> Result<(), Failed> {
    let note = text(case, "profile_note");
    let Some(algorithm) = note.strip_prefix("accept when the integrator enables ") else {
        return Ok(());
    };
    let subject = Subject::new(vectors, case.get("config"), Some(&["RS256", algorithm]));
    subject.serve(&vectors["jwks"]);
    let verdict = by_api(&subject.descope, token).await;
    ensure(matches!(verdict, Verdict::Accepted(_)), || {
        format!("with {algorithm}: {verdict:?}")
    })
}

/// Several tokens and key sets, one after the other, against one handle.
fn sequence(vectors: &Value, sequence: &Value) -> Result<(), Failed> {
    block_on(async {
        let subject = Subject::new(vectors, sequence.get("config"), None);
        subject.serve(&vectors["jwks"]);
        let mut now = subject.now;
        let steps = sequence["steps"].as_array().ok_or("no steps")?;
        for (number, step) in steps.iter().enumerate() {
            let in_step = |why: Failed| -> Failed {
                format!("step {number}: {}", why.message().unwrap_or_default()).into()
            };
            if let Some(to) = step["now"].as_i64() {
                subject.clock.advance(Duration::from_secs(
                    u64::try_from(to - now).map_err(|e| e.to_string())?,
                ));
                now = to;
            }
            if let Some(action) = step["action"].as_str() {
                ensure(action == "replace_jwks", || format!("action {action}?"))?;
                subject.serve(&step["jwks"]);
                match step["then"].as_str() {
                    None => {}
                    Some("force_refresh") => {
                        subject
                            .descope
                            .refresh_keys()
                            .await
                            .map_err(|e| e.to_string())?;
                    }
                    Some(other) => return Err(format!("then {other}?").into()),
                }
                continue;
            }
            let token = token(step);
            let before = subject.fake.calls();
            let verdict = by_api(&subject.descope, &token).await;
            check(step, &verdict).map_err(in_step)?;
            if let Some(most) = step["max_jwks_fetches"].as_u64() {
                let fetches = subject.fake.calls() - before;
                ensure(fetches as u64 <= most, || format!("{fetches} fetches")).map_err(in_step)?;
            }
            // Again, now that whatever remembers verdicts has seen the token, and through the layer.
            check(step, &by_api(&subject.descope, &token).await).map_err(in_step)?;
            let bearer = format!("Bearer {token}");
            let verdict = by_layer(&subject.descope, &[("authorization", &bearer)]).await;
            check(step, &verdict).map_err(in_step)?;
        }
        Ok(())
    })
}

/// One token against a key set of its own.
fn key_set(vectors: &Value, variant: &Value) -> Result<(), Failed> {
    let token = token(variant);
    block_on(async {
        let subject = Subject::new(vectors, variant.get("config"), None);
        subject.serve(&keys_of(variant));
        let verdict = by_api(&subject.descope, &token).await;
        record::verdict(text(variant, "name"), &verdict);
        // A first set without a usable key decides nothing: 503, not 401.
        if let Verdict::Refused(error) = &verdict
            && matches!(error.kind(), AuthErrorKind::Unavailable { .. })
        {
            ensure(variant["expect"] == "reject", || format!("{verdict:?}"))?;
        } else if !is_optional(variant) {
            check(variant, &verdict)?;
        }
        let calls = subject.fake.calls();
        // Once for want of keys, once for an unknown kid.
        ensure(calls <= 2, || format!("{calls} calls"))?;

        // The same set as a replacement must not cost us the good keys when nothing in it is usable.
        let subject = Subject::new(vectors, variant.get("config"), None);
        subject.serve(&vectors["jwks"]);
        subject.descope.ready().await.map_err(|e| e.to_string())?;
        subject.serve(&keys_of(variant));
        subject
            .descope
            .refresh_keys()
            .await
            .map_err(|e| format!("lost the keys at hand: {e}"))?;
        Ok(())
    })
}

/// A handle with a fake upstream and a clock that stands still.
struct Subject {
    descope: Descope,
    fake: Fake,
    clock: Arc<ManualClock>,
    keys_path: String,
    now: i64,
}

impl Subject {
    fn new(vectors: &Value, overrides: Option<&Value>, algorithms: Option<&[&str]>) -> Self {
        let mut config = vectors["config"].as_object().cloned().unwrap_or_default();
        if let Some(overrides) = overrides.and_then(Value::as_object) {
            config.extend(overrides.clone());
        }
        let now = config["now"].as_i64().unwrap();
        let fake = Fake::new();
        let clock = Arc::new(ManualClock::at_unix_seconds(now));
        let project = config["project_id"].as_str().unwrap();
        let mut builder = Descope::builder(project)
            .transport(fake.clone())
            .clock(clock.clone())
            .algorithms(algorithms_of(&config, algorithms))
            .leeway(Duration::from_secs(
                config["leeway_seconds"].as_u64().unwrap(),
            ))
            .max_token_bytes(config["max_token_bytes"].as_u64().unwrap() as usize);
        for issuer in config["issuers"].as_array().unwrap() {
            builder = builder.issuer(issuer.as_str().unwrap());
        }
        if let Some(audience) = config["audience"].as_str() {
            builder = builder.audience(audience);
        }
        Self {
            descope: builder.build().unwrap(),
            fake,
            clock,
            keys_path: format!("/v2/keys/{project}"),
            now,
        }
    }

    fn serve(&self, jwks: &Value) {
        self.fake.always(&*self.keys_path, Answer::json(jwks));
    }
}

fn algorithms_of(config: &Map<String, Value>, instead: Option<&[&str]>) -> Vec<SignatureAlgorithm> {
    let configured = config["algorithms"].as_array().unwrap();
    let names: Vec<&str> = match instead {
        Some(names) => names.to_vec(),
        None => configured.iter().filter_map(Value::as_str).collect(),
    };
    names
        .into_iter()
        .map(|name| match name {
            "RS256" => SignatureAlgorithm::Rs256,
            "ES256" => SignatureAlgorithm::Es256,
            "ES384" => SignatureAlgorithm::Es384,
            other => panic!("algorithm {other}?"),
        })
        .collect()
}

/// Compares a verdict with `expect`.
fn check(case: &Value, verdict: &Verdict) -> Result<(), Failed> {
    if is_optional(case) {
        return Ok(());
    }
    match (case["expect"].as_str(), verdict) {
        (Some("accept"), Verdict::Accepted(user)) => {
            if let Some(sub) = case["sub"].as_str() {
                ensure(user.id() == sub, || format!("the user is {}", user.id()))?;
            }
            if let Some(claims) = case["claim"].as_object() {
                let has: Map<String, Value> = user.claims_as().map_err(|e| e.to_string())?;
                for (name, value) in claims {
                    ensure(has.get(name) == Some(value), || {
                        format!("claim {name}: {:?}", has.get(name))
                    })?;
                }
            }
            Ok(())
        }
        (Some("accept"), Verdict::AcceptedBy(id)) => match case["sub"].as_str() {
            Some(sub) => ensure(id == sub, || format!("the user is {id}")),
            None => Ok(()),
        },
        (Some("reject"), Verdict::Refused(error)) => {
            // An outage is a 503, and no outage here is real.
            ensure(error.status() == 401, || format!("refused with {error:?}"))
        }
        (Some("reject"), Verdict::RefusedBy(401)) => Ok(()),
        (Some("accept" | "reject"), other) => {
            Err(format!("{}: {other:?}", text(case, "why")).into())
        }
        (other, _) => Err(format!("expect {other:?}?").into()),
    }
}

fn is_optional(case: &Value) -> bool {
    case["level"] == "may"
        || (case["level"] == "should" && DEVIATIONS.iter().any(|(name, _)| case["name"] == *name))
}

/// The token, written out or described.
fn token(case: &Value) -> String {
    if let Some(token) = case["token"].as_str() {
        return token.to_owned();
    }
    let described = &case["token_gen"];
    let part = |name: &str| described[name].as_str().unwrap_or_default();
    let count = described["count"].as_u64().expect("a token") as usize;
    part("prefix").to_owned() + &part("repeat").repeat(count) + part("suffix")
}

/// The key set, written out or described.
fn keys_of(variant: &Value) -> Value {
    if let Some(described) = variant.get("jwks_gen") {
        let vary = text(described, "vary");
        let keys: Vec<Value> = (0..described["count"].as_u64().unwrap())
            .map(|number| {
                let mut key = described["template"].clone();
                key[vary] = json!(format!("{}-{number}", text(&key, vary)));
                key
            })
            .collect();
        return json!({ "keys": keys });
    }
    variant["jwks"].clone()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), Failed> {
    if holds {
        Ok(())
    } else {
        Err(otherwise().into())
    }
}

fn in_layer(name: &str, error: &Failed) -> Failed {
    format!("through {name}: {}", error.message().unwrap_or_default()).into()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap()
        .block_on(future)
}
