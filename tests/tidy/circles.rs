//! Circles of files: whoever changes one of a circle has to know all of them.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// The most files that may use each other in a circle.
const CIRCLE_MAX: usize = 3;
/// The top modules whose rooms are folders of their own.
const WITH_ROOMS: &[&str] = &["daemon", "net"];

/// The rooms of `net`, each of which may use only those before it.
const ROOMS: &[&str] = &[
    "clock",
    "fetcher",
    "quic",
    "witness",
    "session",
    "letters",
    "delivery",
    "connection",
];

type Module = Vec<String>;

/// Which module uses which.
#[derive(Default)]
struct Uses {
    by_module: BTreeMap<Module, BTreeSet<Module>>,
}

impl Uses {
    fn read(sources: &[Source]) -> Self {
        let modules: BTreeSet<_> = sources.iter().map(|it| it.module.clone()).collect();
        let mut handed_on = BTreeMap::new();
        let mut named = Vec::new();
        for source in sources {
            let here = &source.module;
            source.each_path(|within, path, is_public| {
                let parts: Vec<_> = path.parts.iter().map(String::as_str).collect();
                let Some((to, rest)) = leads(&modules, within, here, &parts) else {
                    return;
                };
                if is_public && let Some(last) = rest.last() {
                    handed_on.insert((here.clone(), last.clone()), to.clone());
                }
                if !is_public || !to.starts_with(here) {
                    named.push((here.clone(), to, rest));
                }
            });
        }
        let mut uses = Self::default();
        for (here, mut to, rest) in named {
            // What a module only hands on is used where it is.
            let mut hops = 0..5;
            while let Some(next) = rest
                .first()
                .and_then(|name| handed_on.get(&(to.clone(), name.clone())))
                && hops.next().is_some()
            {
                to.clone_from(next);
            }
            if to != here {
                uses.by_module.entry(here).or_default().insert(to);
            }
        }
        uses
    }

    fn reached(&self, from: &Module) -> BTreeSet<Module> {
        let mut reached = BTreeSet::new();
        let mut next = vec![from.clone()];
        while let Some(module) = next.pop() {
            for to in self.by_module.get(&module).into_iter().flatten() {
                if reached.insert(to.clone()) {
                    next.push(to.clone());
                }
            }
        }
        reached
    }

    /// The circles of more than one module, each once.
    fn circles(&self) -> BTreeSet<Vec<Module>> {
        let reached: BTreeMap<_, _> = self
            .by_module
            .keys()
            .map(|module| (module, self.reached(module)))
            .collect();
        let circle = |module: &Module| -> Vec<Module> {
            let back = |to: &&Module| reached.get(to).is_some_and(|it| it.contains(module));
            let beyond = reached.get(module).into_iter().flatten();
            beyond.filter(back).cloned().collect()
        };
        let circles = self.by_module.keys().map(circle);
        circles.filter(|circle| circle.len() > 1).collect()
    }
}

/// The module that a path leads to, and the rest of the path.
fn leads(
    modules: &BTreeSet<Module>,
    within: &[String],
    here: &Module,
    parts: &[&str],
) -> Option<(Module, Vec<String>)> {
    // A word alone may be anything, and `pub(super)` is no path.
    if parts.len() < 2 {
        return None;
    }
    let of_the_crate = absolute(within, parts);
    let is_relative = of_the_crate.is_none();
    let path: Vec<&str> = match of_the_crate {
        Some(path) => path,
        None => here
            .iter()
            .map(String::as_str)
            .chain(parts.iter().copied())
            .collect(),
    };
    let path: Vec<String> = path.into_iter().map(str::to_owned).collect();
    let length = (1..=path.len())
        .rev()
        .find(|it| modules.contains(&path[..*it]))?;
    if is_relative && length <= here.len() {
        return None;
    }
    Some((path[..length].to_vec(), path[length..].to_vec()))
}

/// The place of a module of `net` among its rooms.
fn rung(module: &Module) -> Option<usize> {
    let [top, room, ..] = module.as_slice() else {
        return None;
    };
    let room = (top == "net").then_some(room)?;
    ROOMS.iter().position(|it| it == room)
}

fn faults(files: &[(PathBuf, String)]) -> Vec<String> {
    let mut faults = Vec::new();
    let uses = Uses::read(&production(files));
    for (here, to) in uses
        .by_module
        .iter()
        .flat_map(|(here, all)| all.iter().map(move |to| (here, to)))
    {
        if let (Some(own), Some(other)) = (rung(here), rung(to))
            && other > own
        {
            faults.push(format!(
                "{} may not use {}: it is higher",
                here.join("::"),
                to.join("::")
            ));
        }
    }
    for circle in uses.circles() {
        let names: Vec<_> = circle.iter().map(|it| it.join("::")).collect();
        let names = names.join(", ");
        if circle.len() > CIRCLE_MAX {
            faults.push(format!("{} files use each other: {names}", circle.len()));
        }
        let room = |it: &Module| it[..it.len().min(2)].to_vec();
        let rooms: BTreeSet<_> = circle.iter().map(room).collect();
        let top = circle[0].first().map_or("", String::as_str);
        if rooms.len() > 1 && WITH_ROOMS.contains(&top) {
            faults.push(format!("rooms use each other: {names}"));
        }
    }
    faults
}

#[test]
fn few_files_use_each_other() {
    let faults = faults(&texts(&["src"]));
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn a_planted_circle_is_found() {
    let file = |path: &str, body: &str| (PathBuf::from(path), format!("//! A file.\n{body}\n"));
    let four = [
        file(
            "src/net/mod.rs",
            "mod a; mod b; mod c; mod d; pub use d::D;",
        ),
        file("src/net/a.rs", "use crate::net::b::B;"),
        file("src/net/b.rs", "fn f() -> super::c::C { g() }"),
        file("src/net/c.rs", "use crate::net::{D as Other};"),
        file("src/net/d.rs", "use super::a;"),
    ];
    let found = faults(&four);
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(found[0].contains("4 files use each other: net::a, net::b, net::c, net::d"));
    assert!(faults(&four[..4]).is_empty(), "no way back");
    let two = [
        file("src/net/quic/a.rs", "use crate::net::session::b;"),
        file("src/net/session/b.rs", "use crate::net::quic::a;"),
        file("src/net/quic/b.rs", "use crate::net::quic::c;"),
        file("src/net/quic/c.rs", "use crate::net::quic::b;"),
    ];
    let found = faults(&two);
    let wanted = [
        "net::quic::a may not use net::session::b: it is higher",
        "rooms use each other: net::quic::a, net::session::b",
    ];
    assert_eq!(found, wanted);
}
