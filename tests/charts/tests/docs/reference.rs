//! The reference of the kinds is what their definitions say.

use charts::HOST;

#[test]
fn the_reference_has_every_field_of_every_kind() {
    HOST.has_reference("host/api/docs/reference.md").unwrap();
}
