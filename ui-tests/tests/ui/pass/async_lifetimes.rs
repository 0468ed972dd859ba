//! Lifetimes of async methods: elided, named, inside types which do not let them shorten, and differently in trait and
//! implementation where no more than names differ.

use std::{
    borrow::Cow,
    cell::Cell,
    marker::PhantomData,
    sync::Mutex,
    task::{Context, Poll, Waker},
};

use plugin_core::{Plugin, Result, plugin_interface};

/// Invariant in its lifetime.
#[derive(serde::Serialize, serde::Deserialize)]
pub struct Fixed<'a>(u8, PhantomData<Mutex<&'a str>>);

#[derive(serde::Serialize, serde::Deserialize)]
pub struct Doc<'a>(&'a str);

#[plugin_interface]
pub trait Lifetimes {
    async fn elided(&self, a: &str, b: &'_ str, c: Option<&str>, d: Cow<'_, str>, e: &[&str]) -> Result<usize>;
    async fn in_types(&self, a: Doc<'_>, b: &Doc<'_>, c: (Doc<'_>, &str), d: Vec<Doc<'_>>, e: [&str; 1]) -> Result<usize>;
    async fn fixed(&self, a: Fixed<'_>, b: &Fixed<'_>, c: &Mutex<&str>, d: &str) -> Result<usize>;
    async fn one<'x>(&'x self, a: &'x str, b: Option<&'x str>, c: &str) -> Result<usize>;
    async fn one_fixed<'x>(&self, a: &'x str, b: Fixed<'x>) -> Result<usize>;
    async fn two<'x, 'y: 'x>(&'x self, a: &'y [&'x str], b: &'y Fixed<'x>, c: &str) -> Result<usize>;
    async fn two_in_clause<'x, 'y>(&self, a: &'x str, b: Doc<'y>) -> Result<usize>
    where
        'x: 'y;
    async fn unused<'x>(&self) -> Result<usize>;
    async fn owned(&self) -> Result<Cow<'static, str>>;
    async fn by_default<'x, 'y>(&self, a: &'x str, b: &'y Doc<'x>, c: Fixed<'_>) -> Result<usize> {
        let a: &'x str = a;
        let b: &'y str = b.0;
        Ok(self.elided(a, b, None, Cow::Borrowed(a), &[a]).await? + usize::from(c.0))
    }
}

struct Real;

#[plugin_interface]
impl Lifetimes for Real {
    /// All named where the trait names none: one is enough.
    async fn elided<'z>(&'z self, a: &'z str, b: &'z str, c: Option<&'z str>, d: Cow<'z, str>, e: &'z [&'z str]) -> Result<usize> {
        let all: [&'z str; 3] = [a, b, c.unwrap_or_default()];
        Ok(all.concat().len() + d.len() + e.concat().len())
    }
    async fn in_types(&self, a: Doc<'_>, b: &Doc<'_>, c: (Doc<'_>, &str), d: Vec<Doc<'_>>, [e]: [&str; 1]) -> Result<usize> {
        let d: usize = d.iter().map(|doc| doc.0.len()).sum();
        Ok(a.0.len() + b.0.len() + c.0.0.len() + c.1.len() + d + e.len())
    }
    async fn fixed(&self, a: Fixed<'_>, b: &Fixed<'_>, c: &Mutex<&str>, d: &str) -> Result<usize> {
        let length = c.lock().unwrap().len();
        Ok(usize::from(a.0 + b.0) + length + d.len())
    }
    /// None named where the trait names one.
    async fn one(&self, a: &str, b: Option<&str>, c: &str) -> Result<usize> {
        Ok(a.len() + b.map_or(0, str::len) + c.len())
    }
    async fn one_fixed<'other>(&self, a: &'other str, b: Fixed<'other>) -> Result<usize> {
        let cell = Cell::new(a);
        cell.set("");
        Ok(a.len() + usize::from(b.0))
    }
    async fn two<'x, 'y: 'x>(&'x self, a: &'y [&'x str], b: &'y Fixed<'x>, c: &str) -> Result<usize> {
        Ok(a.concat().len() + usize::from(b.0) + c.len())
    }
    async fn two_in_clause<'x: 'y, 'y>(&self, a: &'x str, b: Doc<'y>) -> Result<usize> {
        let both: [&'y str; 2] = [a, b.0];
        Ok(both.concat().len())
    }
    async fn unused(&self) -> Result<usize> {
        Ok(0)
    }
    async fn owned(&self) -> Result<Cow<'static, str>> {
        Ok(Cow::Borrowed("text"))
    }
}

/// Everything as short-lived as can be, but what is in invariant types.
async fn try_all(lifetimes: &dyn Lifetimes) -> Result<usize> {
    let text = String::from("1");
    let text = text.as_str();
    let (doc, fixed, lock) = (Doc("2"), Fixed::<'static>(3, PhantomData), Mutex::<&'static str>::new("4"));
    let mut sum = lifetimes.elided(text, &String::from("x"), Some(text), text.into(), &[text, "static"]).await?;
    sum += lifetimes.in_types(Doc(text), &doc, (Doc(text), "pair"), vec![Doc(text), Doc("x")], [text]).await?;
    sum += lifetimes.fixed(Fixed::<'static>(1, PhantomData), &fixed, &lock, text).await?;
    sum += lifetimes.one(text, Some("static"), &String::from("x")).await?;
    sum += lifetimes.one_fixed(text, Fixed(1, PhantomData)).await?;
    sum += lifetimes.one_fixed("static", Fixed::<'static>(1, PhantomData)).await?;
    sum += lifetimes.two(&[text], &Fixed(1, PhantomData), text).await?;
    sum += lifetimes.two_in_clause(text, Doc("y")).await?;
    sum += lifetimes.unused().await? + lifetimes.owned().await?.len();
    sum += lifetimes.by_default(text, &Doc(text), Fixed::<'static>(1, PhantomData)).await?;
    let _: &'static str = lock.into_inner().unwrap();
    Ok(sum)
}

fn finish<T>(future: impl Future<Output = T> + Send) -> T {
    let mut future = std::pin::pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return value;
        }
        std::thread::yield_now();
    }
}

fn main() {
    let sum = finish(try_all(&Real)).unwrap();
    let plugin = plugin_core::in_process::<dyn Lifetimes>(Real).unwrap();
    assert_eq!(finish(try_all(&*plugin)).unwrap(), sum);
    Plugin::process(&plugin).shutdown().unwrap();
}
