//! Refusals in the API server's words, `k8s.io/apimachinery/pkg/api/errors`.

use super::{
    super::{ApiError, ApiReason},
    kinds::Kind,
};

/// The message of the registry's optimistic lock.
const MODIFIED: &str =
    "the object has been modified; please apply your changes to the latest version and try again";

pub(super) fn not_found(kind: &Kind, name: &str) -> ApiError {
    ApiError::new(
        ApiReason::NotFound,
        format!("{} {name:?} not found", kind.resource()),
    )
}

/// What the API server answers below a path that it does not serve.
pub(super) fn no_such_resource() -> ApiError {
    ApiError::new(
        ApiReason::NotFound,
        "the server could not find the requested resource",
    )
}

pub(super) fn already_exists(kind: &Kind, name: &str) -> ApiError {
    ApiError::new(
        ApiReason::AlreadyExists,
        format!("{} {name:?} already exists", kind.resource()),
    )
}

/// `resource` is the plural with its group, or, in the API server's delete preconditions, the kind with it.
pub(super) fn conflict(resource: &str, name: &str, why: &str) -> ApiError {
    ApiError::new(
        ApiReason::Conflict,
        format!("Operation cannot be fulfilled on {resource} {name:?}: {why}"),
    )
}

pub(super) fn modified(kind: &Kind, name: &str) -> ApiError {
    conflict(&kind.resource(), name, MODIFIED)
}

pub(super) fn forbidden(kind: &Kind, name: Option<&str>, why: &str) -> ApiError {
    let resource = kind.resource();
    let message = match name {
        Some(name) => format!("{resource} {name:?} is forbidden: {why}"),
        None => format!("{resource} is forbidden: {why}"),
    };
    ApiError::new(ApiReason::Forbidden, message)
}

pub(super) fn bad_request(message: impl Into<String>) -> ApiError {
    ApiError::new(ApiReason::BadRequest, message)
}

/// A 500: the API server found no better word, and answers so again when asked again.
pub(super) fn internal(message: impl Into<String>) -> ApiError {
    ApiError::new(ApiReason::Unavailable, message)
}

/// `subject` is the kind with its group. One problem stands alone, several in brackets.
pub(super) fn invalid(subject: &str, name: &str, mut problems: Vec<String>) -> ApiError {
    let text = match problems.len() {
        1 => problems.remove(0),
        _ => format!("[{}]", problems.join(", ")),
    };
    ApiError::new(
        ApiReason::Invalid,
        format!("{subject} {name:?} is invalid: {text}"),
    )
}
