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
