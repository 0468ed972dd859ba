//! Functions and objects that are lent for the time of a call, however they are written.

use std::{borrow::Cow, cell::Cell};

use plugin_core::{Error, plugin_interface};

type Result<T, E = Error> = plugin_core::Result<T, E>;
type Done = Result<()>;

#[derive(serde::Serialize, serde::Deserialize)]
pub struct Line<'a> {
    number: u32,
    text: Cow<'a, str>,
}

#[plugin_interface]
pub trait Listener {
    fn hear(&self, text: &str) -> Result<usize>;

    fn hear_twice(&self, text: &str) -> Result<usize> {
        Ok(self.hear(text)? + self.hear(text)?)
    }
}

#[plugin_interface]
pub trait Reader {
    fn lines(&self, each: &mut dyn FnMut(Line<'_>) -> Done) -> Result<()>;
    fn words<'a>(&'a self, text: &'a str, each: &'a mut (dyn FnMut(&str, &[u8]) + Send + 'a)) -> Result<()>;
    fn none(&self, each: &mut dyn FnMut()) -> Result<()>;
    fn unit(&self, _: &mut dyn FnMut(u8) -> ()) -> Result<()>;
    fn several(
        &self,
        first: &dyn Listener,
        number: u32,
        second: &mut dyn FnMut(Option<&str>, Vec<u8>, [u8; 2]) -> std::result::Result<Vec<u8>, String2>,
        third: &(dyn Listener + '_),
    ) -> Result<usize>;

    /// Also a default body may be lent to.
    fn maybe(&self, each: &mut dyn FnMut(u8) -> Result<u8>) -> Result<u8> {
        let two = each(1)?;
        each(two)
    }
}

#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub struct String2(String);

impl From<Error> for String2 {
    fn from(error: Error) -> Self {
        Self(error.to_string())
    }
}

struct Real;

impl Reader for Real {
    fn lines(&self, each: &mut dyn FnMut(Line<'_>) -> Done) -> Result<()> {
        let text = String::from("borrowed");
        each(Line { number: 1, text: Cow::Borrowed(&text) })
    }

    fn words<'a>(&'a self, text: &'a str, each: &'a mut (dyn FnMut(&str, &[u8]) + Send + 'a)) -> Result<()> {
        text.split(' ').for_each(|word| each(word, word.as_bytes()));
        Ok(())
    }

    fn none(&self, each: &mut dyn FnMut()) -> Result<()> {
        each();
        Ok(())
    }

    fn unit(&self, each: &mut dyn FnMut(u8)) -> Result<()> {
        each(7);
        Ok(())
    }

    fn several(
        &self,
        first: &dyn Listener,
        number: u32,
        second: &mut dyn FnMut(Option<&str>, Vec<u8>, [u8; 2]) -> std::result::Result<Vec<u8>, String2>,
        third: &dyn Listener,
    ) -> Result<usize> {
        let bytes = second(None, vec![1], [2, 3]).map_err(|error| Error::custom(error.0))?;
        Ok(first.hear("one")? + third.hear_twice("three")? + number as usize + bytes.len())
    }
}

/// Borrows, and is not `'static`.
struct Counts<'a>(&'a std::sync::atomic::AtomicUsize);

impl Listener for Counts<'_> {
    fn hear(&self, text: &str) -> Result<usize> {
        Ok(self.0.fetch_add(text.len(), std::sync::atomic::Ordering::Relaxed))
    }
}

fn check(reader: &dyn Reader) -> Result<()> {
    // Not `Send`.
    let seen = Cell::new(0);
    reader.lines(&mut |line| {
        seen.set(seen.get() + line.number as usize + line.text.len());
        Ok(())
    })?;
    assert_eq!(seen.get(), 9);
    let mut words = Vec::new();
    reader.words("a few words", &mut |word, bytes| words.push((word.to_owned(), bytes.len())))?;
    assert_eq!(words.len(), 3);
    reader.none(&mut || seen.set(0))?;
    reader.unit(&mut |number| seen.set(number.into()))?;
    assert_eq!(seen.get(), 7);
    let heard = Default::default();
    let counts = Counts(&heard);
    let mut concat = |text: Option<&str>, bytes: Vec<u8>, more: [u8; 2]| {
        assert_eq!(text, None);
        Ok([&bytes[..], &more].concat())
    };
    assert_eq!(reader.several(&counts, 10, &mut concat, &counts)?, 3 + 8 + 10 + 3);
    assert_eq!(reader.maybe(&mut |number| Ok(number + 1))?, 3);
    Ok(())
}

fn main() -> Result<()> {
    check(&Real)?;
    check(&*plugin_core::in_process::<dyn Reader>(Real)?)
}
