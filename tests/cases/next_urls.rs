//! Where a browser goes on after it has signed in: every case of the vectors that can be the target of a request, sent
//! to a protected page. Security requirement 43.
//!
//! The crate makes `next` from the path that was asked for; it never follows one. So a case that is not a request
//! target at all (a control character, a relative reference) ends here: no HTTP library hands it to the layer.

use std::convert::Infallible;

use crate::support::{needs, record};
use http::{Request, Response, Uri};
use libtest_mimic::{Failed, Trial};
use reqwest::Url;
use serde_json::Value;
use tower::{ServiceBuilder, ServiceExt, service_fn};
use tower_descope::require::RedirectToLogin;
use tower_descope::{Descope, RequireLayer};

pub fn trials() -> Vec<Trial> {
    let found = needs::vectors("next-urls-public.json");
    needs::trials("next urls", "vectors", found, |vectors| {
        let origin = text(&vectors["config"]["origin"]).to_owned();
        let cases = vectors["cases"].as_array().cloned().unwrap_or_default();
        assert!(cases.len() >= 100, "the vectors lost their shape");
        cases
            .into_iter()
            // Only paths below a prefix: there is no such option.
            .filter(|case| case["input"]["within"].is_null())
            .map(|case| {
                let origin = origin.clone();
                Trial::test(text(&case["name"]).to_owned(), move || {
                    let runtime = tokio::runtime::Builder::new_current_thread()
                        .enable_all()
                        .build()?;
                    runtime.block_on(play(&origin, &case))
                })
            })
            .collect()
    })
}

async fn play(origin: &str, case: &Value) -> Result<(), Failed> {
    let input = &case["input"];
    // The value as a path that was asked for, and as the query of the login page itself.
    let value = match (&input["value"], &input["value_gen"]) {
        (Value::String(value), _) => Some(value.clone()),
        (_, generated @ Value::Object(_)) => {
            let count = generated["count"].as_u64().unwrap_or_default() as usize;
            Some(text(&generated["prefix"]).to_owned() + &text(&generated["repeat"]).repeat(count))
        }
        _ => None,
    };
    if let Some(value) = &value {
        after_sign_out(
            origin,
            value,
            text(&case["expect"]["verdict"]),
            case["level"] == "may",
        )
        .await?;
        let location = redirect(value).await?;
        let next = location
            .as_deref()
            .map(|location| next_of(origin, location));
        let next = next.transpose()?.flatten();
        record::verdict(text(&case["name"]), &next);
        // Either verdict will do for a case of level `may`. The path of a target in absolute form is what was asked
        // for, and is on this host whatever host the target names.
        let either = case["level"] == "may" || is_absolute_form(value);
        let accepted = case["expect"]["verdict"] == "accept";
        match next {
            _ if either => {}
            None if accepted => return Err(format!("no next for {value:?}").into()),
            // What is no path at all is read as a request for `/`.
            Some(next) if !accepted && next != "/" => {
                return Err(format!("next is {next:?}").into());
            }
            Some(next) if accepted => {
                // A fragment never reaches a server.
                let wanted = text(&case["expect"]["resolves_to"]);
                let wanted = wanted.split('#').next().unwrap_or_default();
                let resolved = Url::parse(origin)?.join(&next)?;
                if !wanted.ends_with("...") && resolved.as_str() != wanted {
                    return Err(format!("{resolved}, wanted {wanted}").into());
                }
            }
            _ => {}
        }
    }
    if let Some(query) = input["query"].as_str() {
        // Somebody's own `next` in the address of a protected page stays data of that page.
        let location = redirect(&format!("/page?{query}")).await?;
        if let Some(location) = location
            && let Some(next) = next_of(origin, &location)?
            && !next.starts_with("/page?")
        {
            return Err(format!("next is {next:?}").into());
        }
    }
    Ok(())
}

/// The same as the field `next` of a form that signs out.
async fn after_sign_out(
    origin: &str,
    value: &str,
    verdict: &str,
    either: bool,
) -> Result<(), Failed> {
    let descope = Descope::builder("P2aTestProject000000000000001").build()?;
    let mut fields = Url::parse(origin)?;
    fields.query_pairs_mut().append_pair("next", value);
    let form = Request::post("/v1/auth/logout")
        .header("host", Url::parse(origin)?.authority())
        .header("origin", origin)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(axum::body::Body::from(
            fields.query().unwrap_or_default().to_owned(),
        ))?;
    let response = descope.routes_service().oneshot(form).await?;
    match response.status().as_u16() {
        303 => {}
        // The longest case does not fit into a form.
        413 if value.len() > 16_000 => return Ok(()),
        status => return Err(format!("status {status}").into()),
    }
    let location = response.headers()["location"].to_str()?;
    let resolved = Url::parse(origin)?.join(location)?;
    if resolved.origin().ascii_serialization() != origin || location.contains(char::is_control) {
        return Err(format!("leads to {location:?}").into());
    }
    match verdict {
        _ if either => Ok(()),
        "accept" if resolved != Url::parse(origin)?.join(value)? => {
            Err(format!("leads to {location:?} instead of {value:?}").into())
        }
        "accept" => Ok(()),
        _ if location != "/" => Err(format!("leads to {location:?}").into()),
        _ => Ok(()),
    }
}

fn is_absolute_form(target: &str) -> bool {
    target
        .parse::<Uri>()
        .is_ok_and(|uri| uri.scheme().is_some())
}

/// Where somebody who is not signed in is sent; `None` if this is not the target of a request.
async fn redirect(target: &str) -> Result<Option<String>, Failed> {
    let Ok(request) = Request::get(target)
        .header("sec-fetch-mode", "navigate")
        .body(())
    else {
        return Ok(None);
    };
    let descope = Descope::builder("P2aTestProject000000000000001").build()?;
    let service = ServiceBuilder::new()
        .layer(
            descope
                .session_layer()
                .with_rejection(RedirectToLogin::new("/login")),
        )
        .layer(RequireLayer::new())
        .service(service_fn(async |_: Request<()>| {
            Ok::<_, Infallible>(Response::new(bytes::Bytes::new()))
        }));
    let response = service.oneshot(request).await?;
    if response.status() != 303 {
        return Err(format!("status {}", response.status()).into());
    }
    Ok(Some(response.headers()["location"].to_str()?.to_owned()))
}

/// The parameter `next` of a `Location`. Neither of the two may leave the origin or hold a control character.
fn next_of(origin: &str, location: &str) -> Result<Option<String>, Failed> {
    let stays = |reference: &str| {
        !reference.contains(char::is_control)
            && Url::parse(origin)
                .and_then(|base| base.join(reference))
                .is_ok_and(|url| url.origin().ascii_serialization() == origin)
    };
    if !stays(location) {
        return Err(format!("location {location:?}").into());
    }
    let url = Url::parse(origin)?.join(location)?;
    if url.path() != "/login" {
        return Err(format!("location {location:?}").into());
    }
    let next = url.query_pairs().find(|(name, _)| name == "next");
    let next = next.map(|(_, next)| next.into_owned());
    match next {
        Some(next) if !stays(&next) => Err(format!("next {next:?}").into()),
        next => Ok(next),
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
