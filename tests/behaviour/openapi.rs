//! The OpenAPI document says what the handlers do: requests are built from it and sent.

use std::collections::BTreeSet;

use crate::support::live::{self, Live, channels, fill};
use http::header::SET_COOKIE;
use serde_json::{Map, Value, json};
use tower_descope::routes::{ENDPOINTS, openapi};

fn document(prefix: &str) -> Value {
    serde_json::to_value(openapi(prefix)).unwrap()
}

/// What a reference stands for.
fn resolve<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(path) => document
            .pointer(path.strip_prefix('#').unwrap())
            .unwrap_or_else(|| panic!("{path} leads nowhere")),
        None => schema,
    }
}

/// A value of the schema, with every member that it has.
fn example(document: &Value, schema: &Value) -> Value {
    let schema = resolve(document, schema);
    match schema["type"].as_str().unwrap() {
        "string" => json!("x"),
        "boolean" => json!(false),
        "integer" => json!(0),
        "array" => json!([example(document, &schema["items"])]),
        "object" => match schema["properties"].as_object() {
            Some(properties) => properties
                .iter()
                .map(|(name, schema)| (name.clone(), example(document, schema)))
                .collect::<Map<_, _>>()
                .into(),
            None => json!({"x": "x"}),
        },
        kind => panic!("what is a {kind}?"),
    }
}

/// A value that no schema of this kind allows.
fn wrong(document: &Value, schema: &Value) -> Value {
    match resolve(document, schema)["type"].as_str() {
        Some("string") => json!(5),
        _ => json!("x"),
    }
}

/// An operation that takes a body.
struct Operation<'a> {
    method: &'static str,
    /// In the table.
    template: &'static str,
    channel: &'static str,
    schema: Option<&'a Value>,
    body_required: bool,
    item: &'a Value,
}

fn operations(document: &Value) -> Vec<Operation<'_>> {
    let operation = |endpoint: &tower_descope::routes::Endpoint| {
        let method = endpoint.method.to_lowercase();
        let item = &document["paths"][&format!("/auth{}", endpoint.path)][method];
        let body = &item["requestBody"];
        let schema = &body["content"]["application/json"]["schema"];
        let is_phone = endpoint.path.contains("/phone/");
        Operation {
            method: endpoint.method,
            template: endpoint.path,
            channel: if is_phone { "sms" } else { "email" },
            schema: (!schema.is_null()).then(|| resolve(document, schema)),
            body_required: body["required"] == true,
            item,
        }
    };
    ENDPOINTS.iter().map(operation).collect()
}

impl Operation<'_> {
    /// Takes the steps before the call and makes it, with the body changed.
    async fn send(
        &self,
        live: &Live,
        change: impl FnOnce(&mut Map<String, Value>),
    ) -> live::Answer {
        let (mut browser, body) = live.ready(self.template, self.channel).await;
        let Value::Object(mut body) = body else {
            unreachable!()
        };
        change(&mut body);
        let path = fill(self.template, self.channel);
        let text = match self.schema {
            Some(_) => Value::Object(body).to_string(),
            None => String::new(),
        };
        browser.call(self.method, &path, &text).await
    }

    fn properties(&self) -> impl Iterator<Item = (&String, &Value)> {
        let properties = self
            .schema
            .and_then(|schema| schema["properties"].as_object());
        properties.into_iter().flatten()
    }

    fn required(&self) -> Vec<&str> {
        let required = self.schema.and_then(|schema| schema["required"].as_array());
        let names = required.into_iter().flatten();
        names.map(|name| name.as_str().unwrap()).collect()
    }
}

#[test]
fn paths_and_methods_are_those_of_the_table() {
    for (prefix, mount) in [("/auth", "/auth"), ("/auth/", "/auth"), ("", ""), ("/", "")] {
        let document = document(prefix);
        assert_eq!(document["openapi"], "3.1.0");
        let listed: BTreeSet<(String, String)> = document["paths"]
            .as_object()
            .unwrap()
            .iter()
            .flat_map(|(path, item)| {
                let methods = item.as_object().unwrap().keys();
                methods.map(|method| (method.to_uppercase(), path.clone()))
            })
            .collect();
        let table: BTreeSet<(String, String)> = ENDPOINTS
            .iter()
            .map(|it| (it.method.to_owned(), format!("{mount}{}", it.path)))
            .collect();
        assert_eq!(listed, table);
    }
}

#[test]
fn every_operation_is_described() {
    let document = document("/auth");
    let mut ids = BTreeSet::new();
    for operation in operations(&document) {
        let item = operation.item;
        assert!(item["summary"].is_string(), "{item}");
        assert!(ids.insert(item["operationId"].as_str().unwrap()));
        assert_eq!(operation.schema.is_some(), operation.method == "POST");
        let parameters = item["parameters"].as_array().map_or(0, Vec::len);
        assert_eq!(parameters, operation.template.matches('{').count());
        let content = |status: &str| &item["responses"][status]["content"]["application/json"];
        assert!(content("200")["schema"].is_object(), "{item}");
        let error = resolve(&document, &content("default")["schema"]);
        assert!(error["properties"]["errorCode"].is_object());
        // Every reference leads somewhere, and what is required exists.
        example(&document, &content("200")["schema"]);
        for name in operation.required() {
            let (_, schema) = operation
                .properties()
                .find(|(known, _)| *known == name)
                .unwrap();
            assert!(
                schema["minLength"] == 1 && schema["default"].is_null(),
                "{schema}"
            );
        }
        for (name, schema) in operation.properties() {
            assert!(schema["description"].is_string(), "{name}");
        }
    }
    // Written for readers of this document as well, who have no links to Rust types.
    assert!(!document.to_string().contains("[`"));
    if let Some(schemas) = document["components"]["schemas"].as_object() {
        assert!(!schemas.contains_key("UpdateOptions") && schemas.len() > 20);
    }
}

#[tokio::test]
async fn a_request_with_every_member_is_accepted() {
    let live = Live::start().await;
    let document = document("/auth");
    for operation in operations(&document) {
        for leave_out_options in [false, true] {
            let answer = operation.send(&live, |body| {
                for (name, schema) in operation.properties() {
                    let sent = body.entry(name.clone());
                    let value = sent.or_insert_with(|| example(&document, schema));
                    // The users of all steps before have these; a step-up would need a session.
                    match (name.as_str(), &mut *value) {
                        ("phone" | "voice" | "whatsapp", value) => *value = json!("+15555550100"),
                        ("dct", value) => *value = json!(false),
                        _ => {}
                    }
                }
                if leave_out_options {
                    let required = operation.required();
                    body.retain(|name, _| required.contains(&name.as_str()) || name == "loginId");
                }
            });
            let answer = answer.await;
            assert_eq!(answer.status, 200, "{} {}", operation.template, answer.text);
        }
    }
}

#[tokio::test]
async fn a_call_demands_a_session_where_the_document_says_so_and_nowhere_else() {
    let live = Live::start().await;
    let document = document("/auth");
    let mut demanding = 0;
    for operation in operations(&document) {
        let security = operation.item["security"].as_array();
        let demands = security.is_some_and(|names| names == &[json!({"session": []})]);
        assert_eq!(security.is_some(), demands);
        let (_, body) = live.ready(operation.template, operation.channel).await;
        let text = operation.schema.map(|_| body.to_string());
        let path = fill(operation.template, operation.channel);
        let mut stranger = live.browser();
        let answer = stranger.call(operation.method, &path, text.as_deref().unwrap_or(""));
        let status = answer.await.status;
        assert_eq!(status, if demands { 401 } else { 200 }, "{path}");
        demanding += usize::from(demands);
    }
    assert!(demanding > 5, "{demanding}");
}

#[tokio::test]
async fn the_document_says_what_becomes_of_the_cookies() {
    let live = Live::start().await;
    let document = document("/auth");
    for operation in operations(&document) {
        let answer = operation.send(&live, |_| {}).await;
        let mut ages = answer.headers.get_all(SET_COOKIE).iter().map(|cookie| {
            let text = cookie.to_str().unwrap();
            text.contains("Max-Age=0;") || text.ends_with("Max-Age=0")
        });
        let expected = match ages.next() {
            Some(true) => "Deletes the cookies",
            Some(false) => "Sets the cookies",
            None => "As asked",
        };
        let described = &operation.item["responses"]["200"]["description"];
        // There is nothing to renew yet, so that this call sets none.
        if operation.template != "/v1/auth/try-refresh" {
            assert_eq!(described, expected, "{}", operation.template);
        }
    }
}

#[test]
fn a_variable_part_of_a_path_is_one_of_a_list() {
    let document = document("/auth");
    for operation in operations(&document) {
        let parameters = operation.item["parameters"].as_array();
        for parameter in parameters.into_iter().flatten() {
            let name = parameter["name"].as_str().unwrap();
            assert!(operation.template.contains(&format!("{{{name}}}")));
            assert_eq!(
                (&parameter["in"], &parameter["required"]),
                (&json!("path"), &json!(true))
            );
            let values = parameter["schema"]["enum"].as_array().unwrap();
            let expected: &[&str] = match name {
                "provider" => &["whatsapp"],
                _ => channels(operation.template),
            };
            assert_eq!(values, expected);
        }
    }
}

#[tokio::test]
async fn answers_have_no_member_that_is_not_described() {
    let live = Live::start().await;
    let document = document("/auth");
    for operation in operations(&document) {
        let answer = operation.send(&live, |_| {}).await;
        let schema = &operation.item["responses"]["200"]["content"]["application/json"]["schema"];
        assert_described(&document, schema, &answer.body, operation.template);
    }
    let mut browser = live.browser();
    let error = browser.get("/v1/auth/me").await;
    let schema = json!({"$ref": "#/components/schemas/ErrorBody"});
    assert_described(&document, &schema, &error.body, "an error");
}

fn assert_described(document: &Value, schema: &Value, value: &Value, place: &str) {
    let schema = resolve(document, schema);
    let is = match schema["type"].as_str().unwrap() {
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    };
    assert!(is, "{place}: {value} is no {}", schema["type"]);
    for element in value.as_array().into_iter().flatten() {
        assert_described(document, &schema["items"], element, place);
    }
    if let Some(properties) = schema["properties"].as_object() {
        for (name, value) in value.as_object().unwrap() {
            let schema = properties.get(name);
            let schema = schema.unwrap_or_else(|| panic!("{place}: {name} is not described"));
            assert_described(document, schema, value, name);
        }
    }
}

#[tokio::test]
async fn what_is_required_cannot_be_left_out() {
    let live = Live::start().await;
    let document = document("/auth");
    let mut tried = 0;
    for operation in operations(&document) {
        for name in operation.required() {
            for value in [None, Some(Value::Null), Some(json!(" "))] {
                let answer = operation.send(&live, |body| {
                    assert!(body.contains_key(name), "{name}");
                    match &value {
                        None => body.remove(name),
                        Some(value) => body.insert(name.to_owned(), value.clone()),
                    };
                });
                let answer = answer.await;
                assert_eq!(
                    answer.refusal(),
                    (400, "E011003"),
                    "{} {name}",
                    operation.template
                );
                assert!(answer.body["message"].as_str().unwrap().contains(name));
                tried += 1;
            }
        }
        if operation.schema.is_some() {
            let (mut browser, _) = live.ready(operation.template, operation.channel).await;
            let path = fill(operation.template, operation.channel);
            let status = browser.call("POST", &path, "").await.status;
            let expected = if operation.body_required { 400 } else { 200 };
            assert_eq!(status, expected, "{path}");
        }
    }
    assert!(tried > 50, "{tried}");
}

/// A member of a wrong type is refused where the handler reads it, and ignored where it does not.
#[tokio::test]
async fn the_handlers_read_what_is_described_and_nothing_else() {
    let live = Live::start().await;
    let document = document("/auth");
    let operations = operations(&document);
    let vocabulary: BTreeSet<&String> = operations
        .iter()
        .flat_map(|operation| operation.properties().map(|(name, _)| name))
        .collect();
    for operation in operations.iter().filter(|it| it.schema.is_some()) {
        for (name, schema) in operation.properties() {
            let wrong = wrong(&document, schema);
            let answer = operation.send(&live, |body| {
                body.insert(name.clone(), wrong);
            });
            let answer = answer.await;
            assert_eq!(
                answer.refusal(),
                (400, "E011001"),
                "{} {name}",
                operation.template
            );

            let members = resolve(&document, schema)["properties"].as_object();
            for (member, schema) in members.into_iter().flatten() {
                let wrong = self::wrong(&document, schema);
                let answer = operation.send(&live, |body| {
                    body.insert(name.clone(), json!({ member: wrong }));
                });
                let place = format!("{} {name}.{member}", operation.template);
                assert_eq!(answer.await.refusal(), (400, "E011001"), "{place}");
            }
        }
        let answer = operation.send(&live, |body| {
            for name in &vocabulary {
                if !operation.properties().any(|(known, _)| known == *name) {
                    body.insert((*name).clone(), json!([{"of": "no type"}]));
                }
            }
        });
        let answer = answer.await;
        assert_eq!(answer.status, 200, "{} {}", operation.template, answer.text);
    }
}

#[tokio::test]
async fn the_document_is_served_where_that_was_asked_for() {
    let live = Live::start().await;
    let refused = live.browser().get("/openapi.json").await;
    assert_eq!(refused.refusal(), (404, "not_found"));
    let live = Live::with(|builder| builder.serve_openapi()).await;
    let served = live.browser().get("/openapi.json").await;
    assert_eq!(served.headers["cache-control"], "no-store");
    assert_eq!(served.ok(), document("/auth"));
}
