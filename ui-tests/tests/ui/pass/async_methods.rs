//! Async methods beside sync ones, with all kinds of arguments, through a proxy and called directly.

use std::{
    borrow::Cow,
    future::Future,
    path::Path,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
};

use plugin_core::{Error, Result, plugin_interface};

#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub struct Doc<'a> {
    text: &'a str,
}

#[plugin_interface(version = "1.0")]
pub trait Library {
    fn count(&self) -> Result<usize>;

    /// Without arguments.
    async fn name(&self) -> Result<String>;

    async fn join(&self, first: &str, second: Option<&str>, bytes: &[u8], path: &Path) -> Result<String>;

    async fn borrowed(&self, doc: Doc<'_>, docs: &[Doc<'_>], cow: Cow<'_, [u8]>, pair: (u8, &str)) -> Result<usize>;

    async fn named<'x, 'y>(&'x self, short: &'x str, long: &'y str, docs: &'y [Doc<'x>]) -> Result<usize>
    where
        'y: 'x;

    async fn one_named<'x>(&self, text: &'x str) -> Result<usize>;

    async fn typed(self: &Self, text: &str) -> Result<usize>;

    async fn owned(&self, doc: String, _: u8, bytes: Vec<u8>) -> std::result::Result<Vec<u8>, Missing>;

    #[method(oneway)]
    async fn note(&self, text: &str) -> Result<()>;

    #[method(idempotent, timeout = "5s", name = "look-up")]
    async fn look_up(&self, id: u64) -> Result<Option<String>>;

    #[cfg(any())]
    async fn absent(&self, missing: Unknown) -> Result<()>;

    /// Optional.
    async fn greet_all(&self, names: &[&str], mut prefix: String, _: u8) -> Result<Vec<String>> {
        let mut greetings = Vec::new();
        prefix.push(' ');
        for name in names {
            greetings.push(self.join(&prefix, Some(name), b"", Path::new("")).await?);
        }
        Ok(greetings)
    }
}

#[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Missing(String);

impl From<Error> for Missing {
    fn from(error: Error) -> Self {
        Self(error.to_string())
    }
}

#[derive(Clone)]
struct Books {
    title: String,
}

impl Books {
    const SIZE: usize = 3;
}

/// Is pending once.
async fn pause() {
    let mut polled = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut polled, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await
}

#[plugin_interface]
impl Library for Books {
    fn count(&self) -> Result<usize> {
        Ok(Self::SIZE)
    }

    async fn name(&self) -> Result<String> {
        pause().await;
        Ok(self.title.clone())
    }

    async fn join(&self, first: &str, second: Option<&str>, bytes: &[u8], path: &Path) -> Result<String> {
        pause().await;
        let Some(second) = second else { return Ok(first.to_owned()) };
        pause().await;
        Ok(format!("{first}{second}{}{}", bytes.len(), path.display()))
    }

    async fn borrowed(
        &self,
        doc: Doc<'_>,
        docs: &[Doc<'_>],
        cow: Cow<'_, [u8]>,
        (number, text): (u8, &str),
    ) -> Result<usize> {
        pause().await;
        Ok(doc.text.len() + docs.iter().map(|doc| doc.text.len()).sum::<usize>() + cow.len() + text.len() + number as usize)
    }

    async fn named<'x, 'y: 'x>(&'x self, short: &'x str, long: &'y str, docs: &'y [Doc<'x>]) -> Result<usize> {
        pause().await;
        let both: [&'x str; 2] = [short, long];
        Ok(both.concat().len() + docs.len())
    }

    async fn one_named(&self, text: &str) -> Result<usize> {
        pause().await;
        Ok(text.len())
    }

    async fn typed<'here>(self: &'here Self, text: &'here str) -> Result<usize> {
        pause().await;
        let text: &'here str = text;
        Ok(text.len() + self.title.len())
    }

    async fn owned(&self, mut doc: String, _: u8, bytes: Vec<u8>) -> std::result::Result<Vec<u8>, Missing> {
        struct Inner;
        impl Inner {
            async fn own(&self) -> Self {
                Self
            }
        }
        Inner.own().await;
        doc += "x";
        let mut more = async |more: &str| doc.push_str(more);
        more("y").await;
        if doc.is_empty() { Err(Missing(doc)) } else { Ok([doc.into_bytes(), bytes].concat()) }
    }

    async fn note(&self, _text: &str) -> Result<()> {
        pause().await;
        Err(Error::custom(&self.title))
    }

    async fn look_up(&self, id: u64) -> Result<Option<String>> {
        macro_rules! own {
            () => {
                self.title.clone()
            };
        }
        let found = [7, 8].contains(&id).then(|| own!());
        pause().await;
        Ok(found.map(|title| title + std::any::type_name::<Self>().rsplit("::").next().unwrap()))
    }
}

/// Generic, as wrappers of implementations are.
struct Wrapper<T>(T);

#[cfg(all())]
#[plugin_interface]
#[cfg(not(any()))]
impl<'a, T: Library + ?Sized> Library for Wrapper<&'a T> {
    fn count(&self) -> Result<usize> {
        self.0.count()
    }
    async fn name(&self) -> Result<String> {
        Ok(format!("wrapped {}", self.0.name().await?))
    }
    async fn join(&self, first: &str, second: Option<&str>, bytes: &[u8], path: &Path) -> Result<String> {
        self.0.join(first, second, bytes, path).await
    }
    async fn borrowed(&self, a: Doc<'_>, b: &[Doc<'_>], c: Cow<'_, [u8]>, d: (u8, &str)) -> Result<usize> {
        self.0.borrowed(a, b, c, d).await
    }
    async fn named<'x, 'y: 'x>(&'x self, short: &'x str, long: &'y str, docs: &'y [Doc<'x>]) -> Result<usize> {
        self.0.named(short, long, docs).await
    }
    async fn one_named<'x>(&self, text: &'x str) -> Result<usize> {
        self.0.one_named(text).await
    }
    async fn typed(&self, text: &str) -> Result<usize> {
        self.0.typed(text).await
    }
    async fn owned(&self, doc: String, number: u8, bytes: Vec<u8>) -> std::result::Result<Vec<u8>, Missing> {
        self.0.owned(doc, number, bytes).await
    }
    async fn note(&self, text: &str) -> Result<()> {
        self.0.note(text).await
    }
    async fn look_up(&self, id: u64) -> Result<Option<String>> {
        self.0.look_up(id).await
    }
}

/// An implementation without `async fn` may have the attribute, and one by hand none.
pub struct ByHand;

#[plugin_interface]
pub trait Small {
    async fn add(&self, a: &[u8], b: &str) -> Result<usize>;
}

impl Small for ByHand {
    fn add<'a>(&'a self, a: &'a [u8], b: &'a str) -> Pin<Box<dyn Future<Output = Result<usize>> + Send + 'a>> {
        Box::pin(async move {
            pause().await;
            Ok(a.len() + b.len())
        })
    }
}

struct Thread(std::thread::Thread);

impl Wake for Thread {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Thread(std::thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::park(),
        }
    }
}

fn is_send<T: Send>(value: T) -> T {
    value
}

async fn try_all(library: &dyn Library, name: &str) {
    let text = String::from("text");
    assert_eq!(library.count().unwrap(), 3);
    assert_eq!(library.name().await.unwrap(), name);
    let joined = library.join(&text, Some("two"), &[1, 2], Path::new("/p")).await.unwrap();
    assert_eq!(joined, "texttwo2/p");
    assert_eq!(library.join(&text, None, &[], Path::new("")).await.unwrap(), "text");
    let docs = [Doc { text: &text }, Doc { text: "static" }];
    let sum = library.borrowed(Doc { text: &text }, &docs, Cow::Borrowed(&[1]), (7, "pair")).await.unwrap();
    assert_eq!(sum, 4 + 4 + 6 + 1 + 4 + 7);
    assert_eq!(library.named(&text, "long", &[Doc { text: "1" }]).await.unwrap(), 9);
    assert_eq!(library.one_named(&text).await.unwrap(), 4);
    assert_eq!(library.typed(&text).await.unwrap(), 9);
    assert_eq!(library.owned(text.clone(), 1, vec![b'z']).await.unwrap(), b"textxyz");
    assert_eq!(library.look_up(7).await.unwrap().unwrap(), "TitleBooks");
    assert_eq!(library.look_up(1).await.unwrap(), None);
    let names = library.greet_all(&["Ada", "Eve"], "Hi".into(), 0).await.unwrap();
    assert_eq!(names, ["Hi Ada0", "Hi Eve0"]);
}

fn main() -> Result<()> {
    let books = Books { title: "Title".into() };
    block_on(is_send(try_all(&books, "Title")));
    block_on(is_send(try_all(&Wrapper(&Wrapper(&books)), "wrapped wrapped Title")));
    block_on(async { assert!(books.note("heard").await.is_err()) });

    let plugin = plugin_core::in_process::<dyn Library>(books)?;
    block_on(is_send(try_all(&*plugin, "Title")));
    // Nothing is borrowed by the future of a proxy that its caller could not drop, and nobody answers.
    block_on(plugin.note("heard"))?;

    let small = plugin_core::in_process::<dyn Small>(ByHand)?;
    assert_eq!(block_on(small.add(&[1], "b"))?, 2);
    Ok(())
}
