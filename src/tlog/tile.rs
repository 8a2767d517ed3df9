//! Tiles and entry bundles: a log as files that never change (C2SP tlog-tiles).

use crate::base::{Digest, len_u64, limits};
use crate::tlog::lines;

/// Hashes in a full tile, entries in a full bundle.
pub const TILE_WIDTH: u64 = 256;
/// Levels of the tree that one tile spans.
pub const TILE_HEIGHT: u8 = 8;

/// Which tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tile {
    /// The kind of its content.
    pub kind: TileKind,
    /// Its index among those of its kind.
    pub index: u64,
    /// How many hashes or entries it has: 1 to [`TILE_WIDTH`].
    pub width: u64,
}

/// The kind of a tile's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TileKind {
    /// Hashes of subtrees of height 8 · this level.
    Hashes(u8),
    /// The entries themselves: a bundle.
    Entries,
}

/// Why bytes or a path are not a tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TileFault {
    /// Not a path like `tile/0/x001/234.p/5`.
    #[error("this is not the path of a tile")]
    Path,
    /// Not as many bytes as its width says.
    #[error("the tile does not have the length that its width says")]
    Length,
    /// An entry longer than any of these logs has.
    #[error("an entry of {0} bytes; a leaf has at most {max}", max = limits::LOG_ENTRY_BYTES_MAX)]
    Entry(usize),
}

impl TileFault {
    /// A stable name of the fault.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Path => "tile-path",
            Self::Length => "tile-length",
            Self::Entry(_) => "tile-entry",
        }
    }
}

impl Tile {
    /// Whether nothing will ever be added to it.
    pub const fn is_full(&self) -> bool {
        self.width == TILE_WIDTH
    }

    /// Its path below the log's prefix.
    pub fn path(&self) -> String {
        let mut path = match self.kind {
            TileKind::Hashes(level) => format!("tile/{level}/"),
            TileKind::Entries => "tile/entries/".to_owned(),
        };
        // Three digits to a part, all but the last after an `x`.
        let mut number = format!("{:03}", self.index % 1_000);
        let mut rest = self.index / 1_000;
        while rest > 0 {
            number = format!("x{:03}/{number}", rest % 1_000);
            rest /= 1_000;
        }
        path += &number;
        if !self.is_full() {
            path += ".p/";
            path += &self.width.to_string();
        }
        path
    }

    /// The tile that lies at this path.
    pub fn parse_path(path: &str) -> Result<Self, TileFault> {
        let parse = || {
            let (kind, rest) = path.strip_prefix("tile/")?.split_once('/')?;
            let kind = match kind {
                "entries" => TileKind::Entries,
                level => TileKind::Hashes(lines::decimal(level)?.try_into().ok()?),
            };
            let (digits, width) = match rest.split_once(".p/") {
                Some((digits, width)) => (digits, lines::decimal(width)?),
                None => (rest, TILE_WIDTH),
            };
            let digits: String = digits
                .chars()
                .filter(char::is_ascii_digit)
                .take(18)
                .collect();
            let index = digits.parse().ok()?;
            Some(Self { kind, index, width })
        };
        let tile = parse().filter(|tile| (1..=TILE_WIDTH).contains(&tile.width));
        tile.filter(|tile| tile.path() == path)
            .ok_or(TileFault::Path)
    }

    /// The hashes of a tile of hashes.
    pub fn hashes(&self, bytes: &[u8]) -> Result<Vec<Digest>, TileFault> {
        let (hashes, rest) = bytes.as_chunks::<32>();
        if !rest.is_empty() || len_u64(hashes.len()) != self.width {
            return Err(TileFault::Length);
        }
        Ok(hashes.iter().copied().map(Digest::from_bytes).collect())
    }

    /// The entries of a bundle.
    pub fn entries<'a>(&self, bytes: &'a [u8]) -> Result<Vec<&'a [u8]>, TileFault> {
        let mut rest = bytes;
        let mut entries = Vec::new();
        for _ in 0..self.width {
            let (length, after) = rest.split_first_chunk::<2>().ok_or(TileFault::Length)?;
            let length = usize::from(u16::from_be_bytes(*length));
            if length > limits::LOG_ENTRY_BYTES_MAX {
                return Err(TileFault::Entry(length));
            }
            let split = after.split_at_checked(length);
            let (entry, after) = split.ok_or(TileFault::Length)?;
            entries.push(entry);
            rest = after;
        }
        match rest {
            [] => Ok(entries),
            [_, ..] => Err(TileFault::Length),
        }
    }
}

/// The bytes of a tile of these hashes.
pub fn write_hashes(hashes: &[Digest]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| *hash.as_bytes()).collect()
}

/// The bytes of a bundle of these entries.
///
/// # Errors
/// If an entry is longer than [`limits::LOG_ENTRY_BYTES_MAX`], which no leaf is.
pub fn write_entries<'a>(
    entries: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Vec<u8>, TileFault> {
    let mut bytes = Vec::new();
    for entry in entries {
        let length = u16::try_from(entry.len()).ok();
        let length = length.filter(|_| entry.len() <= limits::LOG_ENTRY_BYTES_MAX);
        let length = length.ok_or(TileFault::Entry(entry.len()))?;
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(entry);
    }
    Ok(bytes)
}

/// The tiles of the tree of `new` leaves that a tree of `old` leaves does not have, bundles included, the lowest level
/// first: with `old` 0 all of them.
pub fn tiles(old: u64, new: u64) -> impl Iterator<Item = Tile> {
    let heights = (0_u32..).step_by(TILE_HEIGHT.into());
    let levels = (0..=7).map(TileKind::Hashes).zip(heights);
    let kinds = std::iter::once((TileKind::Entries, 0)).chain(levels);
    kinds.flat_map(move |(kind, shift)| {
        let (from, to) = (old >> shift, new >> shift);
        let indices = if from < to {
            from / TILE_WIDTH..to.div_ceil(TILE_WIDTH)
        } else {
            0..0
        };
        indices.map(move |index| Tile {
            kind,
            index,
            width: TILE_WIDTH.min(to.saturating_sub(index.saturating_mul(TILE_WIDTH))),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hashes(level: u8, index: u64, width: u64) -> Tile {
        let kind = TileKind::Hashes(level);
        Tile { kind, index, width }
    }

    #[test]
    fn paths() {
        let entries = |index, width| Tile {
            kind: TileKind::Entries,
            index,
            width,
        };
        for (tile, path) in [
            (hashes(0, 1_234_067, 256), "tile/0/x001/x234/067"),
            (hashes(0, 0, 256), "tile/0/000"),
            (hashes(63, 999, 1), "tile/63/999.p/1"),
            (hashes(1, 1_000, 255), "tile/1/x001/000.p/255"),
            (entries(273, 112), "tile/entries/273.p/112"),
        ] {
            assert_eq!(tile.path(), path);
            assert_eq!(Tile::parse_path(path), Ok(tile));
        }
        for bad in [
            "",
            "checkpoint",
            "tile/0/0",
            "tile/0/0000",
            "tile/0/x000/001",
            "tile/0/1/234",
            "tile/0/x1/234",
            "tile/0/001.p/0",
            "tile/0/001.p/256",
            "tile/0/001.p/01",
            "tile/0/001/",
            "tile/00/001",
            "tile/256/001",
            "tile/-1/001",
            "tile/data/001",
            "tile/0/../001",
            "/tile/0/001",
            "tile/0/x999/x999/x999/x999/x999/x999/x999/999",
        ] {
            assert_eq!(Tile::parse_path(bad), Err(TileFault::Path), "{bad}");
        }
    }

    #[test]
    fn the_example_of_the_specification() {
        let all: Vec<Tile> = tiles(0, 70_000).collect();
        let of = |kind| all.iter().filter(move |tile| tile.kind == kind);
        for kind in [TileKind::Hashes(0), TileKind::Entries] {
            assert_eq!(of(kind).filter(|tile| tile.is_full()).count(), 273);
            assert_eq!(of(kind).next_back().map(|tile| tile.width), Some(112));
        }
        let upper = [hashes(1, 0, 256), hashes(1, 1, 17), hashes(2, 0, 1)];
        assert_eq!(all[2 * 274..], upper);
        let small: Vec<Tile> = tiles(0, 256)
            .filter(|t| t.kind != TileKind::Entries)
            .collect();
        assert_eq!(small, [hashes(0, 0, 256), hashes(1, 0, 1)]);
        assert_eq!(tiles(0, 0).count(), 0);
    }

    #[test]
    fn growth_needs_what_is_new_only() {
        for (old, new) in [(0, 3), (3, 5), (255, 256), (256, 257), (500, 70_000)] {
            let before: Vec<Tile> = tiles(0, old).collect();
            let wanted: Vec<Tile> = tiles(0, new)
                .filter(|tile| !before.contains(tile))
                .collect();
            assert_eq!(
                tiles(old, new).collect::<Vec<_>>(),
                wanted,
                "{old} to {new}"
            );
        }
        assert_eq!(tiles(5, 5).count(), 0);
        assert_eq!(
            tiles(1 << 52, (1 << 52) + 1).last().map(|tile| tile.kind),
            Some(TileKind::Hashes(0))
        );
    }

    #[test]
    fn bytes_there_and_back() {
        let digests: Vec<Digest> = (0..3_u8).map(|n| Digest::of(&[n])).collect();
        let bytes = write_hashes(&digests);
        assert_eq!(hashes(0, 0, 3).hashes(&bytes), Ok(digests));
        for (width, bytes) in [(2, &bytes[..]), (4, &bytes), (3, &bytes[1..])] {
            assert_eq!(hashes(0, 0, width).hashes(bytes), Err(TileFault::Length));
        }
        let bundle = |width| Tile {
            kind: TileKind::Entries,
            index: 0,
            width,
        };
        let entries: [&[u8]; 3] = [b"one", b"", b"three"];
        let bytes = write_entries(entries).unwrap();
        assert_eq!(bytes, b"\0\x03one\0\0\0\x05three");
        assert_eq!(bundle(3).entries(&bytes), Ok(entries.to_vec()));
        for (width, bytes) in [(2, &bytes[..]), (4, &bytes), (3, &bytes[..bytes.len() - 1])] {
            assert_eq!(bundle(width).entries(bytes), Err(TileFault::Length));
        }
        assert_eq!(
            bundle(1).entries(b"\xff\xff"),
            Err(TileFault::Entry(65_535))
        );
        let long = vec![0; 257];
        assert_eq!(write_entries([long.as_slice()]), Err(TileFault::Entry(257)));
    }
}
