//! The plugin sets that are swapped: their sorts, what stands in them, and what must come of each.

use std::fmt;

use hostile_plugin::{Behaviour, of_version_0_9_0};

use crate::components::{DEFAULTS, HOSTILE, numbered};

/// The largest component that a gateway takes, by `plugins.component_mib` as it is.
const LARGEST_COMPONENT: u64 = 32 << 20;
/// The largest set.
const LARGEST_SET: u64 = 256 << 20;
const MOST_FILES: u64 = 64;

/// A sort of change. All but the first two are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sort {
    /// Another configuration; each third time another component, too, which must be compiled.
    Good,
    /// The set that decides, once more.
    Equal,
    /// A component that means harm, or another one than the manifest names.
    Poisoned,
    /// A part of a set.
    Torn,
    /// Too large, or too many files.
    Oversized,
    /// A component of another kind.
    WrongKind,
    /// It never comes back from `configure`.
    Looping,
    /// It takes memory in `configure` until there's no more.
    Growing,
}

/// One change of the directory.
pub struct Swap {
    pub sort: Sort,
    pub change: Change,
    pub expected: Expected,
}

/// What happens to the directory.
pub enum Change {
    Files(Vec<File>),
    /// `..data` leads nowhere.
    Tear,
}

#[derive(Clone)]
pub struct File {
    pub name: String,
    pub content: Content,
}

#[derive(Clone)]
pub enum Content {
    Bytes(Vec<u8>),
    /// So many bytes of zero, which need no room.
    Hole(u64),
}

#[derive(Debug, PartialEq, Eq)]
pub enum Expected {
    /// It decides, and puts this mark on every request.
    Decides(Mark),
    /// What decided goes on.
    Nothing,
    /// What decided goes on, and these are parts of the reason.
    Refused(Vec<String>),
}

/// How to know by whom a request was let in: the authenticator takes the name from a claim with this letter, the policy marks the
/// request with letter and number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    pub letter: char,
    pub number: u64,
}

/// All swaps of a run, in their order: each sort equally often, mixed by the seed.
pub struct Deck {
    random: Random,
    coming: Vec<Sort>,
    /// Of all swaps so far.
    number: u64,
    /// Of each sort. Its variants come in turn, so that two in a row are never alike: the gateway says the same thing once.
    dealt: [usize; Sort::ALL.len()],
    good: Vec<File>,
}

/// xorshift64*: what matters is that the same seed gives the same order.
struct Random(u64);

// === impl Sort ===

impl Sort {
    pub const ALL: [Self; 8] =
        [Self::Good, Self::Equal, Self::Poisoned, Self::Torn, Self::Oversized, Self::WrongKind, Self::Looping, Self::Growing];
}

impl fmt::Display for Sort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Good => "good",
            Self::Equal => "equal",
            Self::Poisoned => "poisoned",
            Self::Torn => "torn",
            Self::Oversized => "oversized",
            Self::WrongKind => "wrong kind",
            Self::Looping => "looping in configure",
            Self::Growing => "growing memory",
        })
    }
}

// === impl Deck ===

impl Deck {
    pub fn new(seed: u64) -> Self {
        let good = Mark { letter: 'A', number: 0 }.files(None);
        Self { random: Random(seed | 1), coming: Vec::new(), number: 0, dealt: Default::default(), good }
    }

    /// The set to start with.
    pub fn first(&self) -> (&[File], Mark) {
        (&self.good, Mark { letter: 'A', number: 0 })
    }

    pub fn deal(&mut self) -> Swap {
        if self.coming.is_empty() {
            // Two rounds at a time, so that a sort may follow itself.
            self.coming = [Sort::ALL, Sort::ALL].concat();
            for at in (1..self.coming.len()).rev() {
                self.coming.swap(at, self.random.below(at + 1));
            }
        }
        let sort = self.coming.pop().unwrap();
        self.number += 1;
        let dealt = &mut self.dealt[sort as usize];
        *dealt += 1;
        let dealt = *dealt - 1;
        match sort {
            Sort::Good => self.good(dealt),
            Sort::Equal => Swap { sort, change: Change::Files(self.good.clone()), expected: Expected::Nothing },
            Sort::Poisoned => self.poisoned(dealt),
            Sort::Torn => self.torn(dealt),
            Sort::Oversized => self.oversized(dealt),
            Sort::WrongKind => self.wrong_kind(dealt),
            Sort::Looping => self.misconfigured(sort, dealt, Behaviour::SpinConfigure, "deadline: "),
            Sort::Growing => self.misconfigured(sort, dealt, Behaviour::GrowConfigure, "memory: "),
        }
    }

    fn good(&mut self, dealt: usize) -> Swap {
        let mark = Mark { letter: if dealt.is_multiple_of(2) { 'B' } else { 'A' }, number: self.number };
        let compiled = (dealt % 3 == 2).then_some(self.number);
        self.good = mark.files(compiled);
        Swap { sort: Sort::Good, change: Change::Files(self.good.clone()), expected: Expected::Decides(mark) }
    }

    fn poisoned(&self, dealt: usize) -> Swap {
        let (kind, component) = HOSTILE[dealt / 6 % HOSTILE.len()];
        let component = numbered(component, self.number);
        let as_told = |behaviour: Behaviour, component, expected: &[&str]| {
            refused(Sort::Poisoned, self.hostile(kind, behaviour, "", component), expected)
        };
        match dealt % 6 {
            0 => as_told(Behaviour::TrapConfigure, component, &["trap: "]),
            1 => as_told(Behaviour::RefuseConfigure, component, &["configure: behaviour: found ", "expected another one"]),
            2 => {
                let mut scrambled = component;
                let middle = scrambled.len() / 2;
                scrambled[middle..middle + 64].fill(0xff);
                as_told(Behaviour::Ok, scrambled, &["compilation: "])
            }
            3 => {
                let machine_code = [b"\x7fELF\x02\x01\x01\0\0\0\0\0", component.as_slice()].concat();
                as_told(Behaviour::Ok, machine_code, &["precompiled code is never taken"])
            }
            4 => as_told(Behaviour::Ok, of_version_0_9_0(&component), &["speaks version 0.9.0 of the contract"]),
            _ => {
                let digest = format!(", sha256: {}", "ab".repeat(32));
                let files = self.hostile(kind, Behaviour::Ok, &digest, component);
                refused(Sort::Poisoned, files, &["sha256 is ", "expected abababab"])
            }
        }
    }

    fn torn(&self, dealt: usize) -> Swap {
        let (kind, component) = HOSTILE[dealt / 6 % HOSTILE.len()];
        let whole = self.hostile(kind, Behaviour::Ok, "", numbered(component, self.number));
        let [manifest, component] = <[File; 2]>::try_from(whole).ok().unwrap();
        let half = |mut file: File| {
            let Content::Bytes(bytes) = &mut file.content else { return file };
            bytes.truncate(bytes.len() / 2);
            file
        };
        let refused = |files, expected: &[&str]| refused_for(Sort::Torn, files, expected);
        match dealt % 6 {
            0 => refused(vec![manifest, half(component)], &["plugin 'hostile': compilation: "]),
            1 => refused(vec![half(manifest), component], &["plugins.yaml"]),
            2 => refused(vec![manifest], &["plugin 'hostile': hostile.wasm: no such file"]),
            3 => refused(vec![component], &["has no plugins.yaml"]),
            4 => refused(vec![], &["is empty; a configured directory never falls back to the defaults"]),
            _ => Swap {
                sort: Sort::Torn,
                change: Change::Tear,
                expected: Expected::Refused(vec!["..data: No such file or directory".to_owned()]),
            },
        }
    }

    fn oversized(&self, dealt: usize) -> Swap {
        let (kind, component) = HOSTILE[dealt / 3 % HOSTILE.len()];
        let mut files = self.hostile(kind, Behaviour::Ok, "", numbered(component, self.number));
        let hole = |name: &str, bytes| File { name: name.to_owned(), content: Content::Hole(bytes) };
        match dealt % 3 {
            0 => {
                let found = LARGEST_COMPONENT + self.number;
                files[1] = hole("hostile.wasm", found);
                refused(Sort::Oversized, files, &[&format!("{found} bytes, at most {LARGEST_COMPONENT}")])
            }
            1 => {
                let found = LARGEST_SET + self.number;
                files.push(hole("further.wasm", found));
                refused_for(Sort::Oversized, files, &[&format!("further.wasm with {found}, expected at most {LARGEST_SET}")])
            }
            _ => {
                let further = MOST_FILES + self.number % 8;
                files.extend((0..further).map(|number| hole(&format!("further-{number}.wasm"), 8)));
                let expected = format!("{} files, expected at most {MOST_FILES}", further + 2);
                refused_for(Sort::Oversized, files, &[&expected])
            }
        }
    }

    fn wrong_kind(&self, dealt: usize) -> Swap {
        let at = dealt % HOSTILE.len();
        let (kind, _) = HOSTILE[at];
        let (component, expected): (&[u8], &str) = match dealt % 4 {
            3 => (b"\0asm\x01\0\0\0", "a core module"),
            _ => (HOSTILE[(at + 1 + dealt / 4 % 2) % HOSTILE.len()].1, ["discovery of ", "authentication of ", "routing of "][at]),
        };
        let files = self.hostile(kind, Behaviour::Ok, "", numbered(component, self.number));
        refused(Sort::WrongKind, files, &[expected])
    }

    fn misconfigured(&self, sort: Sort, dealt: usize, behaviour: Behaviour, expected: &str) -> Swap {
        let (kind, component) = HOSTILE[dealt % HOSTILE.len()];
        refused(sort, self.hostile(kind, behaviour, "", numbered(component, self.number)), &[expected])
    }

    /// A manifest that is good but for one entry, and that entry's component.
    fn hostile(&self, kind: &str, behaviour: Behaviour, more: &str, component: Vec<u8>) -> Vec<File> {
        // All that can be granted: it must be for nothing else that it's refused.
        let grants = if kind == "authenticator" { "{log: true, key_sets: [people]}" } else { "{log: true}" };
        let behaviour = behaviour.name();
        let entry = format!(
            "{{name: hostile, kind: {kind}, file: hostile.wasm, grants: {grants}, config: {{behaviour: {behaviour}}}{more}}}"
        );
        let mark = Mark { letter: 'A', number: self.number };
        let wanted = format!("kind: {kind},");
        let entries = mark.entries("builtin: routing-policy").map(|own| if own.contains(&wanted) { entry.clone() } else { own });
        vec![File::new("plugins.yaml", manifest(&entries)), File::new("hostile.wasm", component)]
    }
}

/// Refused because of its hostile plugin.
fn refused(sort: Sort, files: Vec<File>, expected: &[&str]) -> Swap {
    refused_for(sort, files, &[&["plugin 'hostile': "], expected].concat())
}

fn refused_for(sort: Sort, files: Vec<File>, expected: &[&str]) -> Swap {
    let expected = expected.iter().map(|part| (*part).to_owned()).collect();
    Swap { sort, change: Change::Files(files), expected: Expected::Refused(expected) }
}

// === impl Mark ===

impl Mark {
    /// From what the session says that it got: a user and a mark. None when they aren't of one set.
    pub fn of_page(page: &str) -> Option<Self> {
        let (user, mark) = page.split_once(' ')?;
        let (letter, number) = mark.split_once('-')?;
        let mark = Self { letter: letter.parse().ok()?, number: number.parse().ok()? };
        (user.strip_prefix("alice-")? == letter).then_some(mark)
    }

    /// The set that marks requests so. With a number, its policy's component is one that nobody has compiled yet.
    fn files(self, compiled: Option<u64>) -> Vec<File> {
        let Some(number) = compiled else {
            return vec![File::new("plugins.yaml", manifest(&self.entries("builtin: routing-policy")))];
        };
        let (_, component) = DEFAULTS[2];
        let manifest = manifest(&self.entries("file: policy.wasm"));
        vec![File::new("plugins.yaml", manifest), File::new("policy.wasm", numbered(component, number))]
    }

    /// Three plugins that belong together: who met plugins of two sets is turned away, or the marks differ.
    fn entries(self, policy: &str) -> [String; 3] {
        let letter = self.letter;
        [
            format!(
                "{{name: filter, kind: discovery-filter, builtin: discovery-filter, config: {{fixed_labels: {{letter: {letter}}}}}}}"
            ),
            format!(
                "{{name: auth, kind: authenticator, builtin: cookie-auth, grants: {{log: true, key_sets: [people]}}, \
                 config: {{key_sets: [people], claims: {{id: [person.{letter}], groups: [groups.{letter}]}}}}}}"
            ),
            format!(
                "{{name: policy, kind: routing-policy, {policy}, config: {{allow: [group], \
                 group_attribute: label.letter, request_headers: {{set: {{X-Policy: {self}}}}}}}}}"
            ),
        ]
    }
}

fn manifest(entries: &[String; 3]) -> Vec<u8> {
    entries.iter().fold("version: 1\nplugins:\n".to_owned(), |text, entry| text + "  - " + entry + "\n").into_bytes()
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.letter, self.number)
    }
}

impl File {
    fn new(name: &str, bytes: Vec<u8>) -> Self {
        Self { name: name.to_owned(), content: Content::Bytes(bytes) }
    }
}

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(number).unwrap() % bound
    }
}
