//! What an operator's object has to itself it shares with no other.

use std::collections::BTreeMap;

use backup_engine::cluster::memory::ChangeKind;

use super::{Invariant, Seen, Verdict, broken};
use crate::{ground::text, record::named, strategies::Strategy};

#[derive(Default)]
pub(crate) struct Claims {
    /// By the object's UID: what it claims, and its name.
    there: BTreeMap<String, (String, String)>,
}

impl Invariant for Claims {
    fn changed(&mut self, seen: &Seen<'_>) -> Verdict {
        let object = &seen.change.object;
        let Some((strategy, _)) = Strategy::of_order(object) else {
            return Ok(());
        };
        let uid = text(object, "/metadata/uid").to_owned();
        self.there.remove(&uid);
        let claimed = strategy.claims(object);
        let Some(claimed) = claimed.filter(|_| seen.change.kind != ChangeKind::Deleted) else {
            return Ok(());
        };
        let other = self.there.values().find(|(of, _)| *of == claimed);
        if let Some((_, other)) = other {
            let seen = format!("{} and {other}: {claimed}", named(object));
            return broken("an operator's object has to itself what it works on", seen);
        }
        self.there.insert(uid, (claimed, named(object)));
        Ok(())
    }
}
