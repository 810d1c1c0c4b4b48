//! The example `users_table`, served over a socket and used as a browser uses it.

use rusqlite::Connection;
use tower_descope::Emulator;

use crate::support::browser_without_script::Browser;

#[allow(dead_code, unreachable_pub)]
#[path = "../../examples/users_table.rs"]
mod users_table;

/// A database that the test can read while the app uses it.
fn database(name: &str) -> Connection {
    Connection::open(format!("file:{name}?mode=memory&cache=shared")).unwrap()
}

fn rows(table: &Connection) -> Vec<(String, String)> {
    let mut statement = table
        .prepare("SELECT email, nickname FROM accounts ORDER BY email")
        .unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
    rows.unwrap().map(Result::unwrap).collect()
}

fn row(email: &str, nickname: &str) -> (String, String) {
    (email.to_owned(), nickname.to_owned())
}

#[tokio::test]
async fn users_table_has_a_row_from_the_first_sign_in_on() {
    let emulator = Emulator::builder().start().await.unwrap();
    let descope = emulator.descope().build().unwrap();
    let table = database("first_sign_in");
    let app = users_table::app(&descope, database("first_sign_in")).unwrap();
    let mut browser = Browser::new(app).await;
    let page = browser.submit("/nickname", &[("nickname", "Annie")]).await;
    assert_eq!(page.status, 401);
    assert!(rows(&table).is_empty());

    let page = browser.sign_in_by_code(&emulator, "ann@example.com").await;
    assert!(page.contains("Hello"), "{page}");
    assert_eq!(rows(&table), [row("ann@example.com", "")]);
    let page = browser.submit("/nickname", &[("nickname", "A\"<b>")]).await;
    assert!(page.contains("A&quot;&lt;b>"), "{page}");

    // The second sign-in takes over the new address, and leaves the nickname.
    let page = browser.submit("/sign-out", &[]).await;
    assert!(page.contains("Send a code"), "{page}");
    emulator
        .put_user("ann@example.com", |user| {
            user.email = "new@example.com".to_owned()
        })
        .unwrap();
    let page = browser
        .submit("/code", &[("email", "ann@example.com")])
        .await;
    assert!(page.contains("name=code"), "{page}");
    let code = emulator.last_code("new@example.com").unwrap();
    let fields = [("email", "ann@example.com"), ("code", &*code)];
    let page = browser.submit("/sign-in", &fields).await;
    assert!(page.contains("Hello, new@example.com"), "{page}");
    assert_eq!(rows(&table), [row("new@example.com", "A\"<b>")]);
}

#[tokio::test]
async fn users_table_lets_nobody_in_without_a_row() {
    let emulator = Emulator::builder().start().await.unwrap();
    let descope = emulator.descope().build().unwrap();
    let table = database("no_row");
    let app = users_table::app(&descope, database("no_row")).unwrap();
    let mut browser = Browser::new(app).await;
    // Signed in by another app of the same project.
    browser.sign_in(&emulator.sign_in("eve@example.com").unwrap());
    let page = browser.submit("/nickname", &[("nickname", "Eve")]).await;
    assert_eq!(page.status, 403, "{page}");
    assert!(browser.open("/").await.contains("Send a code"));
    assert!(rows(&table).is_empty());
}
