//! An OpenAPI 3.1 document of the mounted routes.

pub(super) mod schemas;

use axum::Json;
use axum::extract::MatchedPath;
use utoipa::openapi::path::{
    Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn,
};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ArrayBuilder, ComponentsBuilder, ContentBuilder, HttpMethod, InfoBuilder, ObjectBuilder,
    OpenApi, OpenApiBuilder, PathItem, PathsBuilder, Ref, RefOr, Required, Response,
    ResponseBuilder, Schema, Type,
};

use self::schemas::ANSWERS;
use super::table::{MOUNTED, Mounted};
use super::visible_members::Documented;
use crate::wire::endpoint::{self, Body, Call};
use crate::wire::session::TryRefresh;
use crate::wire::{Credential, Endpoint, Purpose};

/// The path below the mount point at which [`DescopeBuilder::serve_openapi`](crate::DescopeBuilder::serve_openapi)
/// serves the document.
pub(super) const PATH: &str = "/openapi.json";

const JSON: &str = "application/json";
const SESSION: &str = "session";

/// An OpenAPI 3.1 document of the mounted routes, with `prefix` before every path.
///
/// It describes [`TokenDelivery::Cookies`](super::TokenDelivery::Cookies) and the cookies' usual names. Merge it into
/// your app's own document with [`OpenApi::merge_from`].
///
/// ```
/// let document = tower_descope::routes::openapi("/auth");
/// assert!(document.paths.paths.contains_key("/auth/v1/auth/me"));
/// ```
pub fn openapi(prefix: &str) -> OpenApi {
    let prefix = prefix.trim_end_matches('/');
    let mut paths = PathsBuilder::new();
    for mounted in MOUNTED {
        let method = match mounted.endpoint.method {
            "GET" => HttpMethod::Get,
            _ => HttpMethod::Post,
        };
        let item = PathItem::new(method, operation(mounted));
        paths = paths.path(format!("{prefix}{}", mounted.endpoint.path), item);
    }
    let mut components = ComponentsBuilder::new();
    for mounted in MOUNTED.iter().filter(|it| it.body != Body::None) {
        let request = (mounted.request)();
        components = components.schema(request.name, request.schema);
        for (name, schema) in request.nested {
            components = components.schema(name, schema);
        }
    }
    for answer in ANSWERS {
        components = components.schema(answer.name, answer.to_openapi());
    }
    let cookie = ApiKeyValue::with_description(
        "DSR",
        "The refresh JWT, HttpOnly. Calls that answer with the user's data or new tokens read it.",
    );
    let scheme = SecurityScheme::ApiKey(ApiKey::Cookie(cookie));
    let info = InfoBuilder::new()
        .title("Sign-in")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "Descope's sign-up, sign-in, update and session calls with tokens in HttpOnly cookies. In requests `null` \
             reads like an absent member and unknown members are ignored; a body has at most 16 KiB.",
        ));
    OpenApiBuilder::new()
        .info(info.build())
        .paths(paths.build())
        .components(Some(components.security_scheme(SESSION, scheme).build()))
        .build()
}

fn operation(mounted: &Mounted) -> Operation {
    let endpoint = &mounted.endpoint;
    let tag = endpoint.call.split('(').next().unwrap_or_default();
    let id = endpoint.call.replace("().", "_");
    let mut operation = OperationBuilder::new()
        .tag(tag)
        .operation_id(Some(id))
        .summary(Some(endpoint.summary))
        .request_body(body(mounted))
        .response("200", success(mounted));
    if let Some(parameter) = endpoint.parameter() {
        operation = operation.parameter(path_parameter(parameter));
    }
    if needs_session(endpoint) {
        let none: [&str; 0] = [];
        operation = operation.security(SecurityRequirement::new(SESSION, none));
    }
    let error = ContentBuilder::new().schema(Some(Ref::from_schema_name("ErrorBody")));
    let error = ResponseBuilder::new()
        .description("A refusal, or no answer from Descope")
        .content(JSON, error.build());
    operation.response("default", error.build()).build()
}

/// Whether the call fails without a session. Signing out and `try-refresh` do not.
fn needs_session(endpoint: &Endpoint) -> bool {
    let is_required = matches!(
        endpoint.credential,
        Credential::Refresh | Credential::Session
    );
    let is_lenient =
        endpoint.purpose == Purpose::SignOut || endpoint.call == TryRefresh::ENDPOINT.call;
    is_required && !is_lenient
}

fn path_parameter(parameter: endpoint::Parameter) -> Parameter {
    let schema = ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(parameter.values()));
    let parameter = ParameterBuilder::new()
        .name(parameter.name())
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .schema(Some(schema));
    parameter.build()
}

fn body(mounted: &Mounted) -> Option<RequestBody> {
    let required = match mounted.body {
        Body::Required => Required::True,
        Body::Optional => Required::False,
        Body::None => return None,
    };
    let content =
        ContentBuilder::new().schema(Some(Ref::from_schema_name((mounted.request)().name)));
    let body = RequestBodyBuilder::new()
        .content(JSON, content.build())
        .required(Some(required));
    Some(body.build())
}

fn success(mounted: &Mounted) -> Response {
    let object = |about: &str| ObjectBuilder::new().description(Some(about)).into();
    let schema: RefOr<Schema> = match mounted.answer {
        Documented::Object(name) => Ref::from_schema_name(name).into(),
        Documented::List(name) => ArrayBuilder::new()
            .items(Ref::from_schema_name(name))
            .into(),
        Documented::Empty => object("Empty"),
        Documented::Claims => object("Claims; times are text"),
    };
    let description = match (mounted.endpoint.issues_tokens, mounted.endpoint.purpose) {
        (true, _) => "Sets the cookies",
        (_, Purpose::SignOut) => "Deletes the cookies",
        _ => "As asked",
    };
    ResponseBuilder::new()
        .description(description)
        .content(JSON, ContentBuilder::new().schema(Some(schema)).build())
        .build()
}

/// Serves the document with the prefix that the routes are mounted under.
pub(super) async fn serve(path: Option<MatchedPath>) -> Json<OpenApi> {
    let path = path.as_ref().map(MatchedPath::as_str).unwrap_or_default();
    Json(openapi(path.strip_suffix(PATH).unwrap_or_default()))
}
