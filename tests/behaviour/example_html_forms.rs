//! The example `html_forms`, served over a socket and used as a browser uses it.

use tower_descope::Emulator;

use crate::support::browser_without_script::Browser;

#[allow(dead_code, unreachable_pub)]
#[path = "../../examples/html_forms.rs"]
mod html_forms;

#[tokio::test]
async fn html_forms_sign_in_and_out_without_script() {
    let emulator = Emulator::builder().start().await.unwrap();
    let descope = emulator.descope().build().unwrap();
    let mut browser = Browser::new(html_forms::app(&descope)).await;
    assert!(browser.open("/").await.contains("Send a code"));
    let email = "ann@example.com";
    let page = browser.submit("/code", &[("email", email)]).await;
    assert!(page.contains("Code"), "{page}");
    let page = browser
        .submit("/sign-in", &[("email", "\"><script>"), ("code", "1")])
        .await;
    assert!(
        page.contains("not the code") && !page.contains("<script>"),
        "{page}"
    );
    let code = emulator.last_code(email).unwrap();
    let page = browser
        .submit("/sign-in", &[("email", email), ("code", &code)])
        .await;
    assert!(page.contains("Hello"), "{page}");
    assert_eq!(browser.cookies.len(), 2);
    assert!(browser.open("/").await.contains("Hello"));
    let page = browser.submit("/sign-out", &[]).await;
    assert!(page.contains("Send a code"), "{page}");
    assert!(browser.cookies.is_empty());
}

/// The same in process, as an app's own test does it with the kit.
#[tokio::test]
async fn a_browser_of_the_test_kit_signs_in_by_forms() {
    use tower::ServiceExt;
    use tower_descope::emulator::{Fault, SignedIn};

    let emulator = Emulator::builder().start().await.unwrap();
    for host_cookies in [false, true] {
        let mut builder = emulator.descope();
        if host_cookies {
            builder = builder
                .session_cookies(["__Host-DS"])
                .refresh_cookies(["__Host-DSR"]);
        }
        let descope = builder.build().unwrap();
        let app = html_forms::app(&descope);
        let send = async |request: http::Request<String>| {
            let response = app.clone().oneshot(request).await.unwrap();
            let (parts, body) = response.into_parts();
            let body = axum::body::to_bytes(body, 1 << 16).await.unwrap();
            (
                http::Response::from_parts(parts, ()),
                String::from_utf8(body.to_vec()).unwrap(),
            )
        };
        let email = ("email", "ann@example.com");
        let nobody = SignedIn::nobody().with_cookies_of(&descope);
        assert!(!nobody.browse("/").headers().contains_key("cookie"));
        send(nobody.submit("/code", &[email])).await;
        let (response, page) = send(nobody.submit("/sign-in", &[email, ("code", "0")])).await;
        assert!(
            response.status() == 200 && page.contains("not the code"),
            "{page}"
        );
        let code = emulator.last_code("ann@example.com").unwrap();
        let form = [email, ("code", &code)];
        emulator.fault(Fault::status("/v1/auth/otp/verify/email", 503));
        let (response, page) = send(nobody.submit("/sign-in", &form)).await;
        assert!(
            response.status() == 503 && !page.contains("not the code"),
            "{page}"
        );
        let (response, _) = send(nobody.submit("/sign-in", &form)).await;
        let ann = nobody.after(&response);
        assert!(send(ann.browse("/")).await.1.contains("Hello"));
        let (response, _) = send(ann.submit("/sign-out", &[])).await;
        assert!(
            !ann.after(&response)
                .browse("/")
                .headers()
                .contains_key("cookie")
        );
        assert!(!send(ann.browse("/")).await.1.contains("Hello"));
    }
}
