//! Schemas of the requests that the mounted routes read, and of the answers that they give.

use utoipa::openapi::schema::AdditionalProperties;
use utoipa::openapi::{ArrayBuilder, Object, ObjectBuilder, Ref, RefOr, Schema, Type};

use crate::routes::shape::MemberKind::{
    Flag, Flags, Free, List, Nested, NestedList, Own, Text, Token, Whole,
};
use crate::routes::shape::{MemberKind, Shape, shape};
use crate::routes::visible_members;
use crate::wire::endpoint::Request;

/// The schema of a request, and the schemas that it refers to.
pub(crate) struct RequestSchemas {
    pub(super) name: String,
    pub(super) schema: Object,
    pub(super) nested: Vec<(String, RefOr<Schema>)>,
}

impl RequestSchemas {
    /// Makes the schemas from the type of the request. [`Request::required`] says which members are required.
    pub(crate) fn of<R: Request>() -> Self {
        let mut nested = Vec::new();
        R::schemas(&mut nested);
        let mut schema = Object::new();
        add(R::schema(), &mut schema, &mut nested);
        for (required, _) in R::default().required() {
            schema.required.push(required.member.to_owned());
            let member = schema.properties.get_mut(required.member);
            if let Some(RefOr::T(Schema::Object(text))) = member {
                text.min_length = Some(1);
                text.default = None;
            }
        }
        Self {
            name: R::name().into_owned(),
            schema,
            nested,
        }
    }
}

/// Adds the members of a schema to an object. Members that several requests have in common are a type of their own, to
/// which the schema only refers; they are added too.
fn add(part: RefOr<Schema>, object: &mut Object, nested: &mut Vec<(String, RefOr<Schema>)>) {
    match part {
        RefOr::T(Schema::Object(part)) => object.properties.extend(part.properties),
        RefOr::T(Schema::AllOf(parts)) => {
            for part in parts.items {
                add(part, object, nested);
            }
        }
        RefOr::Ref(reference) => {
            let name = reference
                .ref_location
                .rsplit('/')
                .next()
                .unwrap_or_default();
            if let Some(at) = nested.iter().position(|(known, _)| known == name) {
                let (_, part) = nested.swap_remove(at);
                add(part, object, nested);
            }
        }
        RefOr::T(_) => {}
    }
}

impl Shape {
    pub(super) fn to_openapi(&self) -> ObjectBuilder {
        let mut object = ObjectBuilder::new();
        for (name, kind, about) in self.members.iter().chain(self.shared) {
            object = object.property(*name, kind.to_openapi(about));
        }
        object
    }
}

impl MemberKind {
    fn to_openapi(&self, about: &str) -> RefOr<Schema> {
        let of = |kind| ObjectBuilder::new().schema_type(kind);
        let text = || of(Type::String);
        let described = match self {
            Text | Token => text(),
            Flag => of(Type::Boolean),
            Whole => of(Type::Integer),
            Free | Own => {
                of(Type::Object).additional_properties(Some(AdditionalProperties::FreeForm(true)))
            }
            Flags => of(Type::Object).additional_properties(Some(of(Type::Boolean))),
            List => {
                return ArrayBuilder::new()
                    .items(text())
                    .description(Some(about))
                    .into();
            }
            Nested(shape) => return Ref::from_schema_name(shape.name).into(),
            NestedList(shape) => {
                let items = Ref::from_schema_name(shape.name);
                return ArrayBuilder::new()
                    .items(items)
                    .description(Some(about))
                    .into();
            }
        };
        described.description(Some(about)).into()
    }
}

/// The shapes of all answers, of which the document has a schema each.
pub(super) const ANSWERS: &[Shape] = &[
    visible_members::MASKED_ADDRESS,
    visible_members::TOTP_ENROLMENT,
    visible_members::NOTP_LINK,
    visible_members::SESSION,
    visible_members::USER,
    visible_members::USER_TENANT,
    visible_members::TENANTS,
    visible_members::TENANT_INFO,
    visible_members::HISTORY_ENTRY,
    shape(
        "ErrorBody",
        &[
            ("errorCode", Text, "Descope's code, or one of ours"),
            ("errorDescription", Text, "What it means"),
            ("errorMessage", Text, "What went wrong this time"),
            ("message", Text, "A copy of errorMessage"),
        ],
    ),
];
