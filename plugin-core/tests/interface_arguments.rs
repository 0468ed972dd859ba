//! Every kind of argument and result, from encoded arguments to encoded answer, without a process in between.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    borrow::Cow,
    collections::BTreeMap,
    ffi::OsStr,
    path::{Path, PathBuf},
    sync::Mutex,
};

use plugin_core::{
    Result, plugin_interface,
    private::{Decoder, Dispatch, Encode, EncodeBytes as _, EncodeSerde as _, Encoder},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

type Text = str;
type Bytes = Vec<u8>;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Point {
    x: i32,
    y: i32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Doc<'a> {
    #[serde(borrow)]
    title: &'a str,
}

#[plugin_interface]
#[expect(
    clippy::box_collection,
    clippy::ptr_arg,
    clippy::trivially_copy_pass_by_ref,
    reason = "whatever may be written must work"
)]
trait Everything {
    fn str(&self, v: &str) -> Result<String>;
    fn alias_of_str(&self, v: &Text) -> Result<String>;
    fn option_str(&self, v: Option<&str>) -> Result<Option<String>>;
    fn cow_str(&self, v: Cow<'_, str>) -> Result<String>;
    fn path(&self, v: &Path) -> Result<PathBuf>;
    fn os_str(&self, v: &OsStr) -> Result<String>;
    fn reference_to_str(&self, v: &&str) -> Result<String>;

    fn value(&self, v: Point) -> Result<Point>;
    fn reference(&self, v: &Point) -> Result<Point>;
    fn slice(&self, v: &[Point]) -> Result<Vec<Point>>;
    fn slice_of_str(&self, v: &[&str]) -> Result<String>;
    fn cow_slice(&self, v: Cow<'_, [Point]>) -> Result<usize>;
    fn map(&self, v: &BTreeMap<String, Point>) -> Result<usize>;
    fn option_ref(&self, v: Option<&Point>) -> Result<Option<Point>>;
    fn option_slice(&self, v: Option<&[Point]>) -> Result<Option<Vec<Point>>>;
    fn tuple(&self, v: (u8, &str)) -> Result<String>;

    fn doc(&self, v: Doc<'_>) -> Result<String>;
    fn doc_ref<'a>(&'a self, v: &'a Doc<'a>) -> Result<String>;
    fn docs<'a, 'b>(&'a self, v: &'b [Doc<'a>]) -> Result<String>
    where
        'a: 'b;

    fn bytes(&self, v: &[u8]) -> Result<Vec<u8>>;
    fn vec(&self, v: Vec<u8>) -> Result<Bytes>;
    fn alias_of_vec(&self, v: Bytes) -> Result<Bytes>;
    fn vec_ref(&self, v: &Vec<u8>) -> Result<Option<Vec<u8>>>;
    fn array(&self, v: [u8; 3]) -> Result<[u8; 3]>;
    fn array_ref(&self, v: &[u8; 3]) -> Result<Box<[u8]>>;
    fn cow_bytes(&self, v: Cow<'_, [u8]>) -> Result<Cow<'static, [u8]>>;
    fn option_bytes(&self, v: Option<&[u8]>) -> Result<Option<Bytes>>;
    fn boxed_vec(&self, v: Box<Vec<u8>>) -> Result<Box<Vec<u8>>>;
}

/// Answers with what it was given, and notes the address of what it borrowed.
#[derive(Debug, Default)]
struct Echo {
    address: Mutex<usize>,
}

impl Echo {
    fn note<T: ?Sized>(&self, borrowed: &T) {
        *self.address.lock().unwrap() = std::ptr::from_ref(borrowed).addr();
    }
}

impl Everything for &'static Echo {
    fn str(&self, v: &str) -> Result<String> {
        self.note(v);
        Ok(v.into())
    }
    fn alias_of_str(&self, v: &Text) -> Result<String> {
        self.note(v);
        Ok(v.into())
    }
    fn option_str(&self, v: Option<&str>) -> Result<Option<String>> {
        Ok(v.inspect(|v| self.note(*v)).map(Into::into))
    }
    fn cow_str(&self, v: Cow<'_, str>) -> Result<String> {
        Ok(v.into())
    }
    fn path(&self, v: &Path) -> Result<PathBuf> {
        self.note(v);
        Ok(v.into())
    }
    fn os_str(&self, v: &OsStr) -> Result<String> {
        Ok(v.to_string_lossy().into())
    }
    fn reference_to_str(&self, v: &&str) -> Result<String> {
        self.note(*v);
        Ok((*v).into())
    }

    fn value(&self, v: Point) -> Result<Point> {
        Ok(v)
    }
    fn reference(&self, v: &Point) -> Result<Point> {
        Ok(v.clone())
    }
    fn slice(&self, v: &[Point]) -> Result<Vec<Point>> {
        Ok(v.into())
    }
    fn slice_of_str(&self, v: &[&str]) -> Result<String> {
        self.note(v[0]);
        Ok(v.concat())
    }
    fn cow_slice(&self, v: Cow<'_, [Point]>) -> Result<usize> {
        Ok(v.len())
    }
    fn map(&self, v: &BTreeMap<String, Point>) -> Result<usize> {
        Ok(v.len())
    }
    fn option_ref(&self, v: Option<&Point>) -> Result<Option<Point>> {
        Ok(v.cloned())
    }
    fn option_slice(&self, v: Option<&[Point]>) -> Result<Option<Vec<Point>>> {
        Ok(v.map(Into::into))
    }
    fn tuple(&self, (n, v): (u8, &str)) -> Result<String> {
        self.note(v);
        Ok(v.repeat(n.into()))
    }

    fn doc(&self, v: Doc<'_>) -> Result<String> {
        self.note(v.title);
        Ok(v.title.into())
    }
    fn doc_ref<'a>(&'a self, v: &'a Doc<'a>) -> Result<String> {
        self.note(v.title);
        Ok(v.title.into())
    }
    fn docs<'a, 'b>(&'a self, v: &'b [Doc<'a>]) -> Result<String>
    where
        'a: 'b,
    {
        self.note(v[0].title);
        Ok(v[0].title.into())
    }

    fn bytes(&self, v: &[u8]) -> Result<Vec<u8>> {
        self.note(v);
        Ok(v.into())
    }
    fn vec(&self, v: Vec<u8>) -> Result<Bytes> {
        Ok(v)
    }
    fn alias_of_vec(&self, v: Bytes) -> Result<Bytes> {
        Ok(v)
    }
    fn vec_ref(&self, v: &Vec<u8>) -> Result<Option<Vec<u8>>> {
        Ok(Some(v.clone()))
    }
    fn array(&self, v: [u8; 3]) -> Result<[u8; 3]> {
        Ok(v)
    }
    fn array_ref(&self, v: &[u8; 3]) -> Result<Box<[u8]>> {
        Ok((*v).into())
    }
    fn cow_bytes(&self, v: Cow<'_, [u8]>) -> Result<Cow<'static, [u8]>> {
        self.note(&*v);
        Ok(v.into_owned().into())
    }
    fn option_bytes(&self, v: Option<&[u8]>) -> Result<Option<Bytes>> {
        Ok(v.inspect(|v| self.note(*v)).map(Into::into))
    }
    fn boxed_vec(&self, v: Box<Vec<u8>>) -> Result<Box<Vec<u8>>> {
        Ok(v)
    }
}

/// Dispatches a request with the one argument in `payload`, and gives back the answer and the address noted.
fn dispatch(method: &str, payload: &[u8]) -> (Vec<u8>, usize) {
    let echo: &'static Echo = Box::leak(Box::default());
    let dispatcher = EverythingDispatcher::new(echo);
    let number = dispatcher.descriptor().methods.iter().position(|known| known.name == method).unwrap();
    let mut answer = Encoder::new(1 << 20);
    dispatcher.dispatch(number, &mut Decoder::new(payload), &mut answer).unwrap();
    (answer.into_payload(), *echo.address.lock().unwrap())
}

/// Sends `argument`, and decodes what comes back.
fn ask<T: DeserializeOwned>(method: &str, argument: &(impl Serialize + ?Sized)) -> T {
    let mut request = Encoder::new(1 << 20);
    request.array(1).unwrap();
    request.value(argument).unwrap();
    let (answer, _) = dispatch(method, &request.into_payload());
    Decoder::new(&answer).value().unwrap()
}

#[test]
fn text() {
    for method in ["str", "alias_of_str", "option_str", "cow_str", "path", "reference_to_str"] {
        assert_eq!(ask::<String>(method, "Ada"), "Ada", "{method}");
    }
    assert_eq!(ask::<String>("os_str", OsStr::new("Ada")), "Ada");
    assert_eq!(ask::<Option<String>>("option_str", &None::<&str>), None);
}

#[test]
fn values_and_references_to_them() {
    let point = Point { x: 1, y: -1 };
    assert_eq!(ask::<Point>("value", &point), point);
    assert_eq!(ask::<Point>("reference", &point), point);
    assert_eq!(ask::<Vec<Point>>("slice", &[&point, &point]), [point.clone(), point.clone()]);
    assert_eq!(ask::<Option<Point>>("option_ref", &point), Some(point.clone()));
    assert_eq!(ask::<Option<Point>>("option_ref", &()), None);
    assert_eq!(ask::<Option<Vec<Point>>>("option_slice", &[&point]), Some(vec![point.clone()]));
    assert_eq!(ask::<usize>("cow_slice", &[&point, &point]), 2);
    assert_eq!(ask::<usize>("map", &BTreeMap::from([("a", point)])), 1);
    assert_eq!(ask::<String>("slice_of_str", &["a", "b"]), "ab");
    assert_eq!(ask::<String>("tuple", &(2, "ab")), "abab");
}

#[test]
fn types_that_borrow() {
    let doc = Doc { title: "Notes" };
    assert_eq!(ask::<String>("doc", &doc), "Notes");
    assert_eq!(ask::<String>("doc_ref", &doc), "Notes");
    assert_eq!(ask::<String>("docs", &[doc]), "Notes");
}

#[test]
fn byte_strings_are_bin_in_both_directions() {
    for method in ["bytes", "vec", "alias_of_vec", "vec_ref", "array", "array_ref", "cow_bytes", "option_bytes"] {
        let (answer, _) = dispatch(method, &[0x91, 0xc4, 3, 1, 2, 3]);
        assert_eq!(answer, [0xc4, 3, 1, 2, 3], "{method}");
    }
}

/// What a proxy makes of an argument.
macro_rules! encoded {
    ($argument:expr) => {{
        let mut request = Encoder::new(1 << 20);
        (&Encode(&$argument)).__encode(&mut request).unwrap();
        request.into_payload()
    }};
}

#[test]
fn proxies_encode_what_dispatchers_decode() {
    let bytes: &[u8] = &[1, 2, 3];
    let bin = [0xc4, 3, 1, 2, 3];
    assert_eq!(encoded!(bytes), bin);
    assert_eq!(encoded!(bytes.to_vec()), bin);
    assert_eq!(encoded!(&bytes.to_vec()), bin);
    assert_eq!(encoded!([1_u8, 2, 3]), bin);
    assert_eq!(encoded!(&[1_u8, 2, 3]), bin);
    assert_eq!(encoded!(Cow::Borrowed(bytes)), bin);
    assert_eq!(encoded!(Some(bytes)), bin);
    assert_eq!(encoded!(None::<&[u8]>), [0xc0]);

    assert_eq!(encoded!(Box::new(bytes.to_vec())), [0x93, 1, 2, 3]);
    assert_eq!(encoded!([1_i8, 2, 3]), [0x93, 1, 2, 3]);
    assert_eq!(encoded!("Text"), *b"\xa4Text");
    assert_eq!(encoded!(Path::new("Text")), *b"\xa4Text");
    assert_eq!(encoded!(&Doc { title: "Text" }), *b"\x81\xa5title\xa4Text");
}

#[test]
fn what_serde_bytes_cannot_read_back_is_left_to_serde() {
    let (answer, _) = dispatch("boxed_vec", &[0x91, 0x93, 1, 2, 3]);
    assert_eq!(answer, [0x93, 1, 2, 3]);
}

#[test]
fn borrowed_arguments_point_into_the_message() {
    let cases: [(&[&str], &[u8]); 5] = [
        (&["str", "alias_of_str", "option_str", "path", "reference_to_str"], b"\x91\xa4Text"),
        (&["bytes", "cow_bytes", "option_bytes"], b"\x91\xc4\x03abc"),
        (&["doc", "doc_ref"], b"\x91\x81\xa5title\xa4Text"),
        (&["docs"], b"\x91\x91\x81\xa5title\xa4Text"),
        (&["slice_of_str"], b"\x91\x91\xa4Text"),
    ];
    for (methods, payload) in cases {
        for method in methods {
            let (_, address) = dispatch(method, payload);
            let range = payload.as_ptr_range();
            assert!((range.start.addr()..range.end.addr()).contains(&address), "{method}");
        }
    }
}
