//! Test vectors of others: Wycheproof, RFC 7515 and RFC 7520.
//!
//! Their tokens are no session JWTs of Descope, so this goes to the layer below the claims: header, key set and
//! signature, with the payload as the result. Security requirements 1, 2, 4 to 9 and 16.

use crate::support::{needs, record};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};
use tower_descope::__fuzzing::{jws, signature};
use tower_descope::{InvalidToken, SignatureAlgorithm};

const RS256: &[SignatureAlgorithm] = &[SignatureAlgorithm::Rs256];
const ALL: &[SignatureAlgorithm] = &[
    SignatureAlgorithm::Rs256,
    SignatureAlgorithm::Es256,
    SignatureAlgorithm::Es384,
];

/// Valid as a JWS, and no JWT: its payload is empty. The signature is checked nevertheless.
const NOT_A_JWT: &[&str] = &["emptyPayload"];

pub fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for (suite, file, build) in [
        (
            "wycheproof jws",
            "wycheproof/json_web_signature_test.json",
            signatures as fn(Value) -> Vec<Trial>,
        ),
        (
            "wycheproof jwk",
            "wycheproof/json_web_key_test.json",
            signatures,
        ),
        (
            "wycheproof jose",
            "wycheproof/json_web_crypto_test.json",
            signatures,
        ),
        (
            "wycheproof jwe",
            "wycheproof/json_web_encryption_test.json",
            encryptions,
        ),
        (
            "wycheproof rsa 2048",
            "wycheproof/rsa_signature_2048_sha256_test.json",
            rsa,
        ),
        (
            "wycheproof rsa 3072",
            "wycheproof/rsa_signature_3072_sha256_test.json",
            rsa,
        ),
        (
            "wycheproof rsa 4096",
            "wycheproof/rsa_signature_4096_sha256_test.json",
            rsa,
        ),
        (
            "wycheproof p-256",
            "wycheproof/ecdsa_secp256r1_sha256_p1363_test.json",
            ecdsa,
        ),
        (
            "wycheproof p-384",
            "wycheproof/ecdsa_secp384r1_sha384_p1363_test.json",
            ecdsa,
        ),
        (
            "wycheproof pss",
            "wycheproof/rsa_pss_2048_sha256_mgf1_32_test.json",
            pss,
        ),
        ("rfc 7515", "rfc/rfc7515-appendix-a.json", rfc7515),
    ] {
        trials.extend(needs::trials(suite, "vectors", needs::vectors(file), build));
    }
    for name in [
        "4_1.rsa_v15_signature",
        "4_2.rsa-pss_signature",
        "4_3.ecdsa_signature",
        "4_4.hmac-sha2_integrity_protection",
        "4_5.signature_with_detached_content",
        "4_6.protecting_specific_header_fields",
        "4_7.protecting_content_only",
        "4_8.multiple_signatures",
        "4.2.hmac-sha2_b64_false",
    ] {
        let found = needs::vectors(&format!("rfc7520/{name}.json"));
        let suite = format!("rfc 7520 {name}");
        trials.extend(needs::trials(&suite, "vectors", found, |example| {
            vec![Trial::test(suite.clone(), move || rfc7520(&example))]
        }));
    }
    trials
}

/// Groups of tokens under one key or key set. What is not ours to accept has to be refused, however valid.
fn signatures(vectors: Value) -> Vec<Trial> {
    let mut trials = Vec::new();
    for group in vectors["testGroups"].as_array().unwrap() {
        let keys = public(group);
        let keys = if keys.get("keys").is_some() {
            keys.clone()
        } else {
            json!({"keys": [keys]})
        };
        for test in group["tests"].as_array().unwrap() {
            let (keys, test) = (keys.clone(), test.clone());
            let name = format!(
                "{} {} {}",
                text(group, "comment"),
                test["tcId"],
                text(&test, "comment")
            );
            trials.push(Trial::test(name, move || one_signature(&keys, &test)));
        }
    }
    trials
}

fn one_signature(keys: &Value, test: &Value) -> Result<(), Failed> {
    let token = token(test)?;
    let token = token.as_str();
    let text_of_keys = keys.to_string();
    for allowed in [RS256, ALL] {
        let verdict = jws(text_of_keys.as_bytes(), allowed, token.as_bytes());
        let name = format!("{} {} {allowed:?}", test["tcId"], text(test, "comment"));
        record::verdict(&name, &verdict);
        let wanted = text(test, "result") == "valid"
            && algorithm(token).is_some_and(|algorithm| allowed.contains(&algorithm));
        match (wanted, verdict) {
            (true, Ok(_)) | (false, Err(_)) => {}
            (true, Err(InvalidToken::Malformed)) if NOT_A_JWT.contains(&text(test, "comment")) => {
                let (input, tag) = token.rsplit_once('.').ok_or("no signature")?;
                let tag = URL_SAFE_NO_PAD.decode(tag)?;
                ensure(signature(
                    text_of_keys.as_bytes(),
                    allowed[0],
                    input.as_bytes(),
                    &tag,
                ))?;
            }
            (true, Err(why)) => return Err(format!("refused: {why}").into()),
            (false, Ok(_)) => return Err("accepted".into()),
        }
    }
    Ok(())
}

fn encryptions(vectors: Value) -> Vec<Trial> {
    let tests = vectors["testGroups"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|group| {
            let keys = json!({"keys": [public(group)]}).to_string();
            let tests = group["tests"].as_array().unwrap();
            tests.iter().map(move |test| (keys.clone(), test.clone()))
        });
    tests
        .map(|(keys, test)| {
            let name = format!("jwe {} {}", test["tcId"], text(&test, "comment"));
            Trial::test(name, move || {
                let token = token(&test)?;
                let verdict = jws(keys.as_bytes(), ALL, token.as_bytes());
                ensure(verdict.is_err())
            })
        })
        .collect()
}

fn rsa(vectors: Value) -> Vec<Trial> {
    primitive(vectors, SignatureAlgorithm::Rs256, |group| {
        let key = &group["publicKey"];
        let number = |name: &str| URL_SAFE_NO_PAD.encode(bytes(text(key, name)));
        json!({"kty": "RSA", "kid": "k", "alg": "RS256", "n": number("modulus"), "e": number("publicExponent")})
    })
}

fn ecdsa(vectors: Value) -> Vec<Trial> {
    let (algorithm, curve) = match text(&vectors["testGroups"][0]["publicKey"], "curve") {
        "secp256r1" => (SignatureAlgorithm::Es256, "P-256"),
        "secp384r1" => (SignatureAlgorithm::Es384, "P-384"),
        other => panic!("curve {other}?"),
    };
    primitive(vectors, algorithm, move |group| {
        let point = bytes(text(&group["publicKey"], "uncompressed"));
        let (x, y) = point[1..].split_at(point.len() / 2);
        json!({
            "kty": "EC", "kid": "k", "crv": curve, "alg": algorithm.as_str(),
            "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
        })
    })
}

/// PSS signatures under keys that are published for RS256: all refused, the valid ones too.
fn pss(vectors: Value) -> Vec<Trial> {
    let mut vectors = vectors;
    for group in vectors["testGroups"].as_array_mut().unwrap() {
        for test in group["tests"].as_array_mut().unwrap() {
            // One is no PSS signature, and was to be refused for that.
            let ours = text(test, "comment") == "PKCS #1 v1.5 signature with SHA-256";
            test["result"] = json!(if ours { "valid" } else { "invalid" });
        }
    }
    rsa(vectors)
}

/// One trial per group, because there are many tests and each is short.
fn primitive(
    vectors: Value,
    algorithm: SignatureAlgorithm,
    jwk: impl Fn(&Value) -> Value,
) -> Vec<Trial> {
    let file = text(&vectors, "algorithm").to_owned();
    let groups = vectors["testGroups"].as_array().unwrap().iter();
    groups
        .enumerate()
        .map(|(number, group)| {
            let (group, keys) = (group.clone(), json!({"keys": [jwk(group)]}).to_string());
            let file = format!("{file} {algorithm}");
            let name = format!("{file} group {number}");
            Trial::test(name, move || {
                for test in group["tests"].as_array().ok_or("no tests")? {
                    let (message, tag) = (bytes(text(test, "msg")), bytes(text(test, "sig")));
                    let verdict = signature(keys.as_bytes(), algorithm, &message, &tag);
                    record::verdict(&format!("{file} {}", test["tcId"]), verdict);
                    let agrees = match text(test, "result") {
                        "valid" => verdict,
                        "invalid" => !verdict,
                        // Signatures that old software makes; nobody has to accept them.
                        _ => true,
                    };
                    if !agrees {
                        return Err(format!("{} {}", test["tcId"], text(test, "comment")).into());
                    }
                }
                Ok(())
            })
        })
        .collect()
}

/// These tokens have no `kid`, which we demand; so they are refused, and only their signatures are good.
fn rfc7515(vectors: Value) -> Vec<Trial> {
    let cases = vectors["cases"].as_array().unwrap().iter().cloned();
    cases
        .map(|case| {
            Trial::test(format!("rfc 7515 {}", text(&case, "name")), move || {
                let token = text(&case, "compact");
                let mut key = case["key_public"].clone();
                if key.is_object() {
                    key["kid"] = json!("k");
                }
                let keys = json!({"keys": [key]}).to_string();
                ensure(jws(keys.as_bytes(), ALL, token.as_bytes()).is_err())?;
                let (input, tag) = token.rsplit_once('.').ok_or("no signature")?;
                let tag = URL_SAFE_NO_PAD.decode(tag)?;
                match algorithm(token) {
                    Some(algorithm) => {
                        ensure(signature(
                            keys.as_bytes(),
                            algorithm,
                            input.as_bytes(),
                            &tag,
                        ))?;
                        let mut other = tag.clone();
                        other[0] ^= 1;
                        ensure(!signature(
                            keys.as_bytes(),
                            algorithm,
                            input.as_bytes(),
                            &other,
                        ))
                    }
                    None => ensure(!signature(
                        keys.as_bytes(),
                        RS256[0],
                        input.as_bytes(),
                        &tag,
                    )),
                }
            })
        })
        .collect()
}

/// The cookbook: RS256 in compact form is ours, everything else is refused.
fn rfc7520(example: &Value) -> Result<(), Failed> {
    let mut key = example["input"]["key"].clone();
    if key.is_array() {
        key = key[0].clone();
    }
    let keys = json!({"keys": [key]}).to_string();
    let output = example["output"].as_object().ok_or("no output")?;
    for (form, token) in output {
        let token = token
            .as_str()
            .map_or_else(|| token.to_string(), str::to_owned);
        let verdict = jws(keys.as_bytes(), ALL, token.as_bytes());
        let wanted = form == "compact" && example["input"]["alg"] == "RS256";
        if wanted {
            ensure(
                verdict.ok().as_deref() == example["input"]["payload"].as_str().map(str::as_bytes),
            )?;
        } else {
            ensure(verdict.is_err())?;
        }
    }
    Ok(())
}

/// The token; JSON serialisations are there as objects.
fn token(test: &Value) -> Result<String, Failed> {
    match test.get("jws").or(test.get("jwe")) {
        Some(Value::String(token)) => Ok(token.clone()),
        Some(token) => Ok(token.to_string()),
        None => Err("no token".into()),
    }
}

fn public(group: &Value) -> &Value {
    group.get("public").unwrap_or(&group["private"])
}

/// The algorithm that the header names, if it is one of ours.
fn algorithm(token: &str) -> Option<SignatureAlgorithm> {
    let header = URL_SAFE_NO_PAD.decode(token.split('.').next()?).ok()?;
    let header: Value = serde_json::from_slice(&header).ok()?;
    ALL.iter()
        .copied()
        .find(|known| header["alg"] == known.as_str())
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2)
        .map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap())
        .collect()
}

fn ensure(holds: bool) -> Result<(), Failed> {
    if holds {
        Ok(())
    } else {
        Err("the wrong verdict".into())
    }
}
