//! Objects that outlive calls, and interfaces that pass them.

mod real;

use std::collections::BTreeMap;

use plugin_core::{Error, Remote, Result, plugin_interface};
use serde::{Deserialize, Serialize};

pub use real::{Census, Real, Thing};

/// Passed either way.
#[plugin_interface]
pub trait Item {
    /// What it was made with.
    fn name(&self) -> Result<String>;

    /// Adds to its sum; gives that.
    fn add(&self, number: u64) -> Result<u64>;

    /// As `add`, behind a pause.
    async fn add_later(&self, number: u64) -> Result<u64>;

    /// Notes a number in turn.
    #[method(oneway)]
    fn note(&self, number: u64) -> Result<()>;

    /// Notes a number in turn, and the name of what came with it.
    #[method(oneway)]
    fn note_with(&self, number: u64, item: Remote<dyn Item>) -> Result<()>;

    /// As `note`, behind a pause.
    #[method(oneway)]
    async fn note_later(&self, number: u64) -> Result<()>;

    /// Has `other` dive one level less, down to zero; gives how many levels answered. `me` is this.
    #[method(timeout = "60s")]
    fn dive(&self, level: u32, me: Remote<dyn Item>, other: Remote<dyn Item>) -> Result<u32>;

    /// The same, or another.
    fn same(&self, item: Remote<dyn Item>) -> Result<Remote<dyn Item>>;

    /// Answers when it is cancelled.
    fn hang(&self) -> Result<()>;

    /// Panics.
    fn panic(&self) -> Result<()>;

    /// How many numbers it has noted, once there are so many.
    fn heard(&self, count: usize) -> Result<usize> {
        Err(Error::custom(format!("nobody counts whether there are {count}")))
    }

    /// Calls back, so often.
    fn visit(&self, count: u64, visit: &mut dyn FnMut(Remote<dyn Item>) -> Result<u64>) -> Result<u64>;
}

/// Objects in all places where they may be.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Parts {
    /// In a collection.
    pub many: Vec<Remote<dyn Item>>,
    /// Perhaps none.
    pub one: Option<Remote<dyn Item>>,
    /// By name.
    pub named: BTreeMap<String, Remote<dyn Item>>,
    /// In an enum, in a tuple, in a box.
    pub deep: Vec<Deep>,
}

/// A part among others.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Deep {
    /// Nothing.
    None,
    /// Something that cannot be sent.
    #[serde(skip_serializing)]
    Unsendable,
    /// Beside a number.
    Pair(u8, Box<Remote<dyn Item>>),
}

impl Parts {
    /// One object in each place.
    pub fn of(make: impl Fn(&str) -> Remote<dyn Item>) -> Self {
        Self {
            many: vec![make("first"), make("second")],
            one: Some(make("one")),
            named: [("key".to_owned(), make("named"))].into(),
            deep: vec![Deep::None, Deep::Pair(7, Box::new(make("deep")))],
        }
    }

    /// How many there are.
    pub const COUNT: usize = 5;

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Remote<dyn Item>> {
        let deep = self.deep.iter().filter_map(|deep| match deep {
            Deep::None | Deep::Unsendable => None,
            Deep::Pair(_, item) => Some(&**item),
        });
        self.many.iter().chain(&self.one).chain(self.named.values()).chain(deep)
    }

    /// What each of them says it is.
    ///
    /// # Errors
    /// When one cannot be called.
    pub fn names(&self) -> Result<Vec<String>> {
        self.all().map(|item| item.name()).collect()
    }
}

/// An error that brings an object.
#[derive(Debug, Serialize, Deserialize, thiserror::Error)]
pub enum ShelfError {
    /// That was in the way.
    #[error("something is in the way")]
    InTheWay(Remote<dyn Item>),
    /// The call itself failed.
    #[error("{0}")]
    Call(String),
}

impl From<Error> for ShelfError {
    fn from(error: Error) -> Self {
        Self::Call(error.to_string())
    }
}

/// Gives and takes objects.
#[plugin_interface]
pub trait Shelf {
    /// A new one.
    fn make(&self, name: &str) -> Result<Remote<dyn Item>>;

    /// So many new ones.
    fn make_many(&self, count: usize) -> Result<Vec<Remote<dyn Item>>>;

    /// New ones in all places.
    fn make_parts(&self) -> Result<Parts>;

    /// One that is new, and so many bytes, which may be too many.
    fn make_with(&self, length: usize) -> Result<(Remote<dyn Item>, String)>;

    /// Fails with a new one.
    fn fail_with(&self, name: &str) -> Result<(), ShelfError>;

    /// An async method that gives a new one which it has called itself.
    async fn make_later(&self, name: &str) -> Result<Remote<dyn Item>>;

    /// Adds to it behind a pause; gives its sum.
    async fn add_to(&self, item: Remote<dyn Item>, number: u64) -> Result<u64>;

    /// What they say they are, asked while the call runs.
    fn ask(&self, parts: Parts) -> Result<Vec<String>>;

    /// Whether it lives in the plugin.
    fn is_yours(&self, item: Remote<dyn Item>) -> Result<bool>;

    /// Keeps it.
    fn keep(&self, item: Remote<dyn Item>) -> Result<()>;

    /// Keeps it in turn.
    #[method(oneway)]
    fn keep_in_turn(&self, item: Remote<dyn Item>) -> Result<()>;

    /// Keeps all.
    fn keep_all(&self, items: Vec<Remote<dyn Item>>) -> Result<()>;

    /// What is kept, which stays.
    fn kept(&self) -> Result<Vec<Remote<dyn Item>>>;

    /// Lets go of all; gives how many they were.
    fn let_go(&self) -> Result<usize>;

    /// Adds one to each that is kept, from so many threads at once; the sum of what they say.
    fn add_to_kept(&self, threads: u64) -> Result<u64>;

    /// Has a thread note all numbers below `count` on each that is kept, and let go of them.
    fn note_and_let_go(&self, count: u64) -> Result<()>;

    /// Why the first that is kept cannot be called, if it cannot.
    fn try_kept(&self) -> Result<Option<String>>;

    /// How many items of the plugin have been dropped, once there are so many.
    fn dropped(&self, count: u64) -> Result<u64>;

    /// How many items of the plugin there are, once there are as few.
    fn alive(&self, count: u64) -> Result<u64>;

    /// Keeps it, then answers when it is cancelled.
    #[method(timeout = "none")]
    fn hang_with(&self, item: Remote<dyn Item>) -> Result<()>;

    /// Ends the process where there is no file of that name, and makes one; else keeps the object.
    #[method(idempotent)]
    fn keep_in_the_next_run(&self, file: &str, item: Remote<dyn Item>) -> Result<()>;

    /// How many bytes come with it.
    fn measure(&self, item: Remote<dyn Item>, bytes: &[u8]) -> Result<usize>;

    /// Something that takes no object.
    fn plain(&self, number: u64) -> Result<u64>;

    /// Ends the process, with last words.
    fn exit(&self) -> Result<()>;
}

/// What another build of the host believes of a shelf.
#[plugin_interface(name = "Shelf")]
pub trait Misunderstood {
    /// It takes a number.
    fn plain(&self, item: Remote<dyn Item>) -> Result<u64>;

    /// It takes one alone.
    fn keep(&self, item: Remote<dyn Item>, another: Remote<dyn Item>) -> Result<()>;
}
