//! The revocation lists of peers' CAs: how they are read, which ones stay, and who can push one out.

use rustls_pki_types::CertificateDer;

use crate::base::{AuthorityId, Digest, Timestamp, limits};
use crate::daemon::Daemon;
use crate::daemon::peers::lists::By;
use crate::daemon::peers::roster::KnownPeer;
use crate::identity::{RevocationList, revocation};
use crate::store::{CrlRow, Op};
use crate::transfer::Fault;

impl KnownPeer {
    /// Whether a list of the same CA is held that this one cannot take the place of, for its number is higher.
    pub(crate) fn has_newer(&self, list: &RevocationList, now: Timestamp) -> bool {
        let mut held = self.lists.iter().filter(|held| held.ca() == list.ca());
        held.any(|held| held.number() > list.number() && !list.supersedes(held, now))
    }
}

impl Daemon {
    /// The changes by which what the lists of this authority have revoked stays revoked for the others with
    /// certificates of the same CAs, once it is forgotten.
    pub(crate) fn bequeathed(&self, leaving: &KnownPeer) -> Vec<Op> {
        let others = self.roster.all().into_iter();
        let others = others.filter(|other| other.row.id != leaving.row.id);
        let mut ops = Vec::new();
        for other in others {
            for own in &other.lists {
                let newer = leaving.lists.iter().find(|it| it.ca() == own.ca());
                let newer = newer.filter(|newer| newer.number() > own.number());
                let kept = newer.and_then(|newer| own.with_content_of(newer));
                ops.extend(kept.map(|list| self.put(&other.row.id, &list)));
            }
        }
        ops
    }

    fn put(&self, id: &AuthorityId, list: &RevocationList) -> Op {
        Op::CrlPut(Box::new(CrlRow {
            authority: id.clone(),
            ca: list.ca(),
            number: list.number(),
            list: list.bytes().to_vec(),
            came: self.station.clock(),
        }))
    }

    /// The changes that keep these lists of an authority, and make room for them.
    ///
    /// # Errors
    /// There is no room, see [`leaving`].
    pub(crate) fn keeping(
        &self,
        known: Option<&KnownPeer>,
        id: &AuthorityId,
        lists: &[RevocationList],
        by: By,
    ) -> Result<Vec<Op>, Fault> {
        let now = self.station.clock();
        let held = known.map_or(&[][..], |known| &known.lists);
        let cas = known.map(|known| known.card.cas()).unwrap_or_default();
        let leaving = leaving(held, lists, &cas, by, now).ok_or_else(|| {
            let most = limits::CRLS_MAX;
            let text = format!("the lists of {most} CAs of {id} are held already, each in use");
            Fault::new("quota", text)
        })?;
        let dropped = leaving.into_iter().map(|ca| Op::CrlDrop {
            authority: id.clone(),
            ca,
        });
        let kept = lists.iter().map(|list| self.put(id, list));
        Ok(dropped.chain(kept).collect())
    }

    /// The revocation lists in a file, each signed by one of these CAs, or by one below them, and current.
    pub(crate) fn current_lists(
        &self,
        file: &[u8],
        cas: &[CertificateDer<'_>],
    ) -> Result<Vec<RevocationList>, Fault> {
        let lists = revocation::lists_in(file, cas, &[])?;
        let now = self.station.clock();
        lists.iter().try_for_each(|list| list.check_dates(now))?;
        Ok(lists)
    }
}

/// The CAs whose lists go when these come, so that at most [`limits::CRLS_MAX`] are held: first those on no card in use
/// (`cas`), nor below one, then those that have ended, then those farthest below the card. What comes from the peer
/// itself pushes out only what is farther from the card: a CA that was stolen can issue any number of others, but only
/// below itself. `None` where there is not enough that may go.
fn leaving(
    held: &[RevocationList],
    coming: &[RevocationList],
    cas: &[CertificateDer<'_>],
    by: By,
    now: Timestamp,
) -> Option<Vec<Digest>> {
    let comes = |held: &&RevocationList| coming.iter().any(|list| list.ca() == held.ca());
    let mut staying: Vec<_> = held.iter().filter(|held| !comes(held)).collect();
    let all = staying.len().saturating_add(coming.len());
    let over = all.saturating_sub(limits::CRLS_MAX);
    let is_useless = |list: &RevocationList| !list.is_under(cas) || list.check_dates(now).is_err();
    let nearest = coming.iter().map(RevocationList::depth).min().unwrap_or(0);
    let may_leave =
        |list: &RevocationList| by == By::Operator || is_useless(list) || list.depth() > nearest;
    staying.sort_by_key(|list| {
        let is_of_no_card = !list.is_under(cas);
        std::cmp::Reverse((is_of_no_card, is_useless(list), list.depth()))
    });
    let leaving: Vec<_> = staying
        .into_iter()
        .take(over)
        .filter(|list| may_leave(list))
        .map(RevocationList::ca)
        .collect();
    (leaving.len() == over).then_some(leaving)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::peers::lists::Lists;
    use crate::identity::trust::tests::ca::Ca;

    fn lists(ca: &Ca, between: &[CertificateDer<'static>], root: &Ca) -> RevocationList {
        let wire = between.iter().fold(ca.crl(&[]).to_vec(), |mut wire, it| {
            wire.extend_from_slice(it);
            wire
        });
        RevocationList::open(&wire, std::slice::from_ref(&root.der)).unwrap()
    }

    #[test]
    fn lists_of_no_use_make_room_and_others_do_not() {
        let now = "2026-11-23T09:00:00.000Z".parse().unwrap();
        let after = "2026-12-23T09:00:00.000Z".parse().unwrap();
        let cas: Vec<_> = (0..9).map(|n| Ca::new(&format!("ca {n}"))).collect();
        let lists: Vec<_> = cas.iter().map(|ca| lists(ca, &[], ca)).collect();
        let ders: Vec<_> = cas.iter().map(|ca| ca.der.clone()).collect();
        let (held, coming) = lists.split_at(8);
        let go = |held, coming, cas: &[_], now| leaving(held, coming, cas, By::Peer, now);
        assert_eq!(go(&held[..7], coming, &ders, now), Some(Vec::new()));
        assert_eq!(go(held, &held[..1], &ders, now), Some(Vec::new()));
        assert_eq!(go(held, coming, &ders, now), None, "all are in use");
        let first = held[0].ca();
        assert_eq!(go(held, coming, &ders, after), Some(vec![first]));
        let third = held[2].ca();
        let without: Vec<_> = [&ders[..2], &ders[3..]].concat();
        assert_eq!(go(held, coming, &without, after), Some(vec![third]));
        let by_hand = leaving(held, coming, &ders, By::Operator, now);
        assert_eq!(by_hand, Some(vec![first]));
    }

    /// A thief of an issuing CA makes seven more below it; the honest CA beside it, and the root, still find a place.
    #[test]
    fn cas_far_below_the_card_make_room_for_those_near_it() {
        let now = "2026-11-23T09:00:00.000Z".parse().unwrap();
        let root = Ca::new("root");
        let (stolen, honest) = (root.below("stolen"), root.below("honest"));
        let mut held = vec![lists(&stolen, std::slice::from_ref(&stolen.der), &root)];
        held.extend((0..7).map(|n| {
            let below = stolen.below(&format!("false {n}"));
            lists(&below, &[below.der.clone(), stolen.der.clone()], &root)
        }));
        let cas = [root.der.clone()];
        let further = stolen.below("one more");
        let further = lists(&further, &[further.der.clone(), stolen.der.clone()], &root);
        assert_eq!(leaving(&held, &[further], &cas, By::Peer, now), None);
        for coming in [
            lists(&honest, std::slice::from_ref(&honest.der), &root),
            lists(&root, &[], &root),
        ] {
            let left = leaving(&held, &[coming], &cas, By::Peer, now).unwrap();
            assert_eq!(left.len(), 1);
            assert_ne!(left[0], held[0].ca());
        }
    }

    #[test]
    fn what_others_bring_of_a_ca_counts_if_it_is_newer_and_has_not_ended() {
        let now = "2026-11-23T09:00:00.000Z".parse().unwrap();
        let root = Ca::new("root");
        let ids: [AuthorityId; 3] =
            ["fr.example", "de.example", "ie.example"].map(|id| id.parse().unwrap());
        let list = |number, until: u8| {
            let cas = std::slice::from_ref(&root.der);
            RevocationList::open(&root.numbered(number, &[], until), cas).unwrap()
        };
        let (old, new, ended) = (list(3, 30), list(4, 30), list(9, 20));
        let lists = |given: &[&RevocationList]| {
            let mut lists = Lists::default();
            for (id, list) in ids.iter().zip(given) {
                lists.add(id.clone(), (*list).clone(), now);
            }
            lists
        };
        let taken = |given: &[&RevocationList]| lists(given).take(&ids[0]);
        assert_eq!(taken(&[&old, &new]), (vec![old.clone()], vec![new.clone()]));
        assert_eq!(taken(&[&new, &old]), (vec![new.clone()], Vec::new()));
        assert_eq!(
            taken(&[&old, &new, &ended]),
            (vec![old.clone()], vec![new.clone()])
        );
        assert_eq!(taken(&[&old, &ended, &new]), (vec![old.clone()], vec![new]));
        assert_eq!(lists(&[&old]).take(&ids[1]), (Vec::new(), Vec::new()));
    }
}
