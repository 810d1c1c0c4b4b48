//! The example `testing`. Its own tests run here as well, so that `cargo test` needs no further program for them.

use tower_descope::testing::TestDescope;

use crate::support::browser_without_script::Browser;

#[allow(dead_code, unreachable_pub)]
#[path = "../../examples/testing.rs"]
mod testing;

#[tokio::test]
async fn testing_serves_what_its_tests_say() {
    let test = TestDescope::new();
    let mut browser = Browser::new(testing::app(test.descope())).await;
    assert_eq!(browser.open("/reports").await.status, 401);
    browser.sign_in(&test.user("bob").sign_in());
    assert_eq!(browser.open("/reports").await.status, 403);
    browser.sign_in(&test.user("ann").role("auditor").expired().sign_in());
    let before = browser.cookies["DS"].clone();
    assert_eq!(&*browser.open("/reports").await, "The reports for ann");
    assert_ne!(browser.cookies["DS"], before);
}

#[tokio::test]
async fn testing_passes_the_checks_that_it_prints() {
    testing::checks().await;
}
