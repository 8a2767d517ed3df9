//! The revocation lists of all authorities, by who brought them.

use std::collections::HashMap;
use std::sync::Arc;

use crate::base::{AuthorityId, Digest, Timestamp};
use crate::daemon::peers::roster::KnownPeer;
use crate::identity::RevocationList;
use crate::store::{Ledger, StoreFault};

/// Who brings a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    /// The authority itself, over a connection: a thief of one of its CAs could be that, too.
    Peer,
    /// The operator, in a file.
    Operator,
}

/// Lists by the authority that brought them.
#[derive(Debug, Default)]
pub(crate) struct Lists {
    all: HashMap<AuthorityId, Vec<RevocationList>>,
    /// The newest of each CA, whoever brought it: one that has not ended, if there is one.
    newest: HashMap<Digest, RevocationList>,
}

impl Lists {
    /// Reads those of all authorities; parses only what is not among those that were read before.
    pub(crate) async fn read(
        ledger: &Ledger,
        before: &HashMap<AuthorityId, Arc<KnownPeer>>,
        now: Timestamp,
    ) -> Result<Self, StoreFault> {
        let mut lists = Self::default();
        for row in ledger.crls().await? {
            let known = before.get(&row.authority);
            let mut known = known.into_iter().flat_map(|known| &known.lists);
            let read = known.find(|it| it.ca() == row.ca && it.bytes() == row.list);
            let read = read.cloned();
            match read.or_else(|| RevocationList::stored(row.ca, &row.list)) {
                Some(list) => lists.add(row.authority, list, now),
                None => {
                    tracing::error!(peer = %row.authority, number = row.number, "a stored revocation list is damaged, it is left out");
                }
            }
        }
        Ok(lists)
    }

    pub(crate) fn add(&mut self, authority: AuthorityId, list: RevocationList, now: Timestamp) {
        let rank = |list: &RevocationList| (list.check_dates(now).is_ok(), list.number());
        let newest = self.newest.get(&list.ca());
        if newest.is_none_or(|newest| rank(&list) > rank(newest)) {
            self.newest.insert(list.ca(), list.clone());
        }
        self.all.entry(authority).or_default().push(list);
    }

    /// The lists that this authority has brought, one of each CA; and the newer ones that others have brought of the
    /// same CAs.
    pub(crate) fn take(
        &mut self,
        authority: &AuthorityId,
    ) -> (Vec<RevocationList>, Vec<RevocationList>) {
        let own = self.all.remove(authority).unwrap_or_default();
        let newer = own.iter().filter_map(|own| {
            let newest = self.newest.get(&own.ca())?;
            (newest.number() > own.number()).then(|| newest.clone())
        });
        let newer = newer.collect();
        (own, newer)
    }
}
