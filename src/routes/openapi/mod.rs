//! An OpenAPI 3.1 document of the mounted routes.

mod schemas;

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

use self::schemas::SCHEMAS;
use super::{ENDPOINTS, Endpoint};
use crate::client::NotpProvider;
use crate::wire::DeliveryMethod;

/// Where [`DescopeBuilder::serve_openapi`](crate::DescopeBuilder::serve_openapi) serves it, below the mount point.
pub(super) const PATH: &str = "/openapi.json";

const JSON: &str = "application/json";
const SESSION: &str = "session";

/// An OpenAPI 3.1 document of the mounted routes, for the prefix that they are mounted under.
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
    for endpoint in ENDPOINTS {
        let method = match endpoint.method {
            "GET" => HttpMethod::Get,
            _ => HttpMethod::Post,
        };
        let item = PathItem::new(method, operation(endpoint));
        paths = paths.path(format!("{prefix}{}", endpoint.path), item);
    }
    let mut components = ComponentsBuilder::new();
    for schema in SCHEMAS {
        components = components.schema(schema.name, schema.to_openapi());
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

/// What a route takes and answers; the table has the rest.
struct Described {
    summary: &'static str,
    /// A schema's name.
    request: Option<&'static str>,
    /// SDKs send no body at all to some calls.
    body_required: bool,
    response: Answer,
    needs_session: bool,
}

enum Answer {
    /// A schema's name.
    Object(&'static str),
    /// An array of the schema of that name.
    List(&'static str),
    Empty,
    Claims,
}

const fn call(summary: &'static str, request: &'static str, response: &'static str) -> Described {
    Described {
        summary,
        request: Some(request),
        body_required: true,
        response: Answer::Object(response),
        needs_session: false,
    }
}

impl Described {
    const fn of_session(mut self) -> Self {
        self.needs_session = true;
        self
    }

    const fn body_optional(mut self) -> Self {
        self.body_required = false;
        self
    }

    const fn answering(mut self, response: Answer) -> Self {
        self.response = response;
        self
    }

    const fn without_body(mut self) -> Self {
        self.request = None;
        self
    }
}

/// By the name of the client's call.
fn describe(endpoint: &Endpoint) -> Option<Described> {
    let described = match endpoint.call {
        "otp().sign_up" => call(
            "Sends a code that creates the user",
            "OtpSignUpRequest",
            "MaskedAddress",
        ),
        "otp().sign_in" => call("Sends a code", "OtpSignInRequest", "MaskedAddress"),
        "otp().sign_up_or_in" => call(
            "Sends a code that creates the user if need be",
            "OtpSignInRequest",
            "MaskedAddress",
        ),
        "otp().verify" => call(
            "Signs in with a code",
            "OtpVerifyRequest",
            "SessionResponse",
        ),
        "otp().update_email" => call(
            "Sends a code to a new e-mail address",
            "OtpUpdateEmailRequest",
            "MaskedAddress",
        )
        .of_session(),
        "otp().update_phone" => call(
            "Sends a code to a new number",
            "OtpUpdatePhoneRequest",
            "MaskedAddress",
        )
        .of_session(),
        "totp().sign_up" => call(
            "A key for an authenticator app of a new user",
            "TotpSignUpRequest",
            "TotpEnrolment",
        ),
        "totp().update" => call(
            "A key for a new authenticator app",
            "TotpUpdateRequest",
            "TotpEnrolment",
        )
        .of_session(),
        "totp().verify" => call(
            "Signs in with an authenticator app",
            "TotpVerifyRequest",
            "SessionResponse",
        ),
        "notp().sign_up" => call(
            "A link for a message that creates the user",
            "NotpSignUpRequest",
            "NotpLinkResponse",
        ),
        "notp().sign_in" => call(
            "A link for a message",
            "NotpSignInRequest",
            "NotpLinkResponse",
        ),
        "notp().sign_up_or_in" => call(
            "A link for a message that creates the user if need be",
            "NotpSignInRequest",
            "NotpLinkResponse",
        ),
        "notp().update" => call(
            "A link for a message from a new number",
            "NotpUpdateRequest",
            "NotpLinkResponse",
        )
        .of_session(),
        "notp().pending_session" => call(
            "Signs in once the message was sent; before, 401 with E066103",
            "PendingSessionRequest",
            "SessionResponse",
        ),
        "session().refresh" => call("Renews the session", "RefreshRequest", "SessionResponse")
            .body_optional()
            .of_session(),
        "session().try_refresh" => call(
            "Renews the session if there is one, else answers {}",
            "RefreshRequest",
            "SessionResponse",
        )
        .body_optional(),
        "session().logout" => call("Ends the session", "LogoutRequest", "")
            .answering(Answer::Empty)
            .body_optional(),
        "session().logout_all" => call("Ends all sessions of the user", "LogoutRequest", "")
            .answering(Answer::Empty)
            .body_optional(),
        "session().me" => call("The user", "", "UserProfile")
            .without_body()
            .of_session(),
        "session().my_tenants" => call("The user's tenants", "MyTenantsRequest", "TenantsResponse")
            .body_optional()
            .of_session(),
        "session().history" => call("The user's sign-ins", "", "")
            .answering(Answer::List("HistoryEntry"))
            .without_body()
            .of_session(),
        "session().select_tenant" => call(
            "Moves the session into a tenant",
            "TenantSelectRequest",
            "SessionResponse",
        )
        .of_session(),
        "session().validate" => call("The claims of the session", "RefreshRequest", "")
            .answering(Answer::Claims)
            .body_optional()
            .of_session(),
        _ => return None,
    };
    Some(described)
}

fn operation(endpoint: &Endpoint) -> Operation {
    let tag = endpoint.call.split('(').next().unwrap_or_default();
    let id = endpoint.call.replace("().", "_");
    let mut operation = OperationBuilder::new().tag(tag).operation_id(Some(id));
    if let Some(parameter) = parameter(endpoint.path) {
        operation = operation.parameter(parameter);
    }
    if let Some(described) = describe(endpoint) {
        operation = operation
            .summary(Some(described.summary))
            .request_body(body(&described))
            .response("200", success(&described.response, endpoint.issues_tokens));
        if described.needs_session {
            let none: [&str; 0] = [];
            operation = operation.security(SecurityRequirement::new(SESSION, none));
        }
    }
    let error = ContentBuilder::new().schema(Some(Ref::from_schema_name("ErrorBody")));
    let error = ResponseBuilder::new()
        .description("A refusal, or no answer from Descope")
        .content(JSON, error.build());
    operation.response("default", error.build()).build()
}

fn parameter(path: &str) -> Option<Parameter> {
    let (name, values): (_, Vec<&str>) = if path.contains("/phone/{method}") {
        let phones = DeliveryMethod::ALL.into_iter().filter(|it| it.is_phone());
        ("method", phones.map(DeliveryMethod::as_str).collect())
    } else if path.contains("{method}") {
        let all = DeliveryMethod::ALL.into_iter();
        ("method", all.map(DeliveryMethod::as_str).collect())
    } else if path.contains("{provider}") {
        ("provider", vec![NotpProvider::Whatsapp.as_str()])
    } else {
        return None;
    };
    let schema = ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(values));
    let parameter = ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .schema(Some(schema));
    Some(parameter.build())
}

fn body(described: &Described) -> Option<RequestBody> {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(described.request?)));
    let required = match described.body_required {
        true => Required::True,
        false => Required::False,
    };
    let body = RequestBodyBuilder::new()
        .content(JSON, content.build())
        .required(Some(required));
    Some(body.build())
}

fn success(answer: &Answer, sets_cookies: bool) -> Response {
    let object = |about: &str| ObjectBuilder::new().description(Some(about)).into();
    let schema: RefOr<Schema> = match answer {
        Answer::Object(name) => Ref::from_schema_name(*name).into(),
        Answer::List(name) => ArrayBuilder::new()
            .items(Ref::from_schema_name(*name))
            .into(),
        Answer::Empty => object("Empty"),
        Answer::Claims => object("Claims; times are text"),
    };
    let description = match (answer, sets_cookies) {
        (_, true) => "Sets the cookies",
        (Answer::Empty, _) => "Deletes the cookies",
        _ => "As asked",
    };
    ResponseBuilder::new()
        .description(description)
        .content(JSON, ContentBuilder::new().schema(Some(schema)).build())
        .build()
}

/// The document under whatever prefix the routes are mounted.
pub(super) async fn serve(path: Option<MatchedPath>) -> Json<OpenApi> {
    let path = path.as_ref().map(MatchedPath::as_str).unwrap_or_default();
    Json(openapi(path.strip_suffix(PATH).unwrap_or_default()))
}
