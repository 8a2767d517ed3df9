//! A file system: what was written is seen at once, but a power cut leaves only what was flushed, and of the rest any
//! part.
//!
//! Payloads are modelled by their segments, each a number that stands for its content. A file's bytes become durable by
//! its own flush; names (created, renamed, removed) are a journal of which a folder's flush makes everything before it
//! durable, and a power cut keeps any beginning of the rest: journalling file systems promise no more.

use std::collections::BTreeMap;

use crate::chance::Chance;

/// The content of a segment: each number is another content.
pub(crate) type Content = u64;
/// Never written, or lost.
pub(crate) const HOLE: Content = 0;
/// Written in part.
pub(crate) const TORN: Content = u64::MAX;

/// A file's number.
pub(crate) type Inode = u32;

#[derive(Debug, Default, Clone)]
struct File {
    cells: Vec<Content>,
    durable: Vec<Content>,
}

#[derive(Debug, Clone)]
enum Change {
    Link(String, Inode),
    Unlink(String),
    Rename(String, String),
}

/// The disk of one authority.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    files: BTreeMap<Inode, File>,
    names: BTreeMap<String, Inode>,
    durable: BTreeMap<String, Inode>,
    journal: Vec<Change>,
    next: Inode,
}

fn apply(names: &mut BTreeMap<String, Inode>, change: &Change) {
    match change {
        Change::Link(name, inode) => {
            names.insert(name.clone(), *inode);
        }
        Change::Unlink(name) => {
            names.remove(name);
        }
        Change::Rename(from, to) => {
            if let Some(inode) = names.remove(from) {
                names.insert(to.clone(), inode);
            }
        }
    }
}

impl Disk {
    fn change(&mut self, change: Change) {
        apply(&mut self.names, &change);
        self.journal.push(change);
    }

    /// The file of this name.
    pub(crate) fn find(&self, name: &str) -> Option<Inode> {
        self.names.get(name).copied()
    }

    /// Creates a file; `None` if the name is taken.
    pub(crate) fn create(&mut self, name: &str) -> Option<Inode> {
        if self.names.contains_key(name) {
            return None;
        }
        self.next += 1;
        self.files.insert(self.next, File::default());
        self.change(Change::Link(name.to_owned(), self.next));
        Some(self.next)
    }

    /// Renames a file over whatever has the other name; `false` if there is none.
    pub(crate) fn rename(&mut self, from: &str, to: &str) -> bool {
        if !self.names.contains_key(from) {
            return false;
        }
        self.change(Change::Rename(from.to_owned(), to.to_owned()));
        true
    }

    /// Removes a name, if it is there.
    pub(crate) fn remove(&mut self, name: &str) {
        if self.names.contains_key(name) {
            self.change(Change::Unlink(name.to_owned()));
        }
    }

    /// Writes one segment.
    pub(crate) fn write(&mut self, inode: Inode, at: usize, content: Content) {
        let file = self.files.entry(inode).or_default();
        if file.cells.len() <= at {
            file.cells.resize(at + 1, HOLE);
        }
        file.cells[at] = content;
    }

    /// The content of a file as a reader sees it.
    pub(crate) fn read(&self, inode: Inode) -> &[Content] {
        self.files.get(&inode).map_or(&[], |file| &file.cells)
    }

    /// Makes a file's bytes durable.
    pub(crate) fn flush(&mut self, inode: Inode) {
        let file = self.files.entry(inode).or_default();
        file.durable.clone_from(&file.cells);
    }

    /// Makes all changes of names so far durable.
    pub(crate) fn flush_names(&mut self) {
        for change in std::mem::take(&mut self.journal) {
            apply(&mut self.durable, &change);
        }
    }

    /// All names, for the sweep at a start.
    pub(crate) fn names(&self) -> Vec<String> {
        self.names.keys().cloned().collect()
    }

    /// The part of a file that a power cut at this moment would certainly leave.
    pub(crate) fn certain(&self, name: &str) -> Option<&[Content]> {
        let inode = self.durable.get(name)?;
        // A name that is about to change is not certain any more.
        let touched = self.journal.iter().any(|change| match change {
            Change::Link(it, _) | Change::Unlink(it) => it == name,
            Change::Rename(from, to) => from == name || to == name,
        });
        let file = self.files.get(inode)?;
        (!touched && file.cells == file.durable).then_some(file.durable.as_slice())
    }

    /// The power fails. Answers how many unflushed segments and names were lost, and how many segments torn.
    pub(crate) fn power_cut(&mut self, chance: &mut Chance) -> (u64, u64) {
        let kept = chance.place(self.journal.len() + 1);
        let (mut lost, mut torn) = ((self.journal.len() - kept) as u64, 0);
        for change in self.journal.drain(..).take(kept) {
            apply(&mut self.durable, &change);
        }
        self.names.clone_from(&self.durable);
        let named: Vec<Inode> = self.names.values().copied().collect();
        self.files.retain(|inode, _| named.contains(inode));
        for file in self.files.values_mut() {
            let reach = file.cells.len();
            file.durable.resize(reach, HOLE);
            for at in 0..reach {
                if file.cells[at] == file.durable[at] {
                    continue;
                }
                match chance.below(3) {
                    0 => lost += 1,
                    1 => file.durable[at] = file.cells[at],
                    _ => {
                        file.durable[at] = TORN;
                        torn += 1;
                    }
                }
            }
            // The length may be the old or the new one.
            while file.durable.last() == Some(&HOLE) && chance.one_in(2) {
                file.durable.pop();
            }
            file.cells.clone_from(&file.durable);
        }
        (lost, torn)
    }
}
