//! What may be an argument, and as what it arrives.

use std::{
    borrow::Cow,
    collections::HashMap,
    ffi::{CStr, OsStr},
    path::{Path, PathBuf},
};

use plugin_core::{Result, plugin_interface};

type Text = str;
type Blob = [u8];

#[plugin_interface]
#[allow(unused_parens)]
pub trait Arguments {
    fn text(&self, a: &str, b: &Text, c: Option<&str>, d: String, e: &String, f: Cow<'_, str>, g: &&str) -> Result<()>;
    fn bytes(&self, a: &[u8], b: &Blob, c: Option<&[u8]>, d: Vec<u8>, e: &Vec<u8>, f: Cow<'_, [u8]>) -> Result<()>;
    fn fixed(&self, a: [u8; 4], b: &[u8; 4], c: Option<[u8; 4]>, d: Box<[u8]>, e: &[[u8; 2]]) -> Result<()>;
    fn paths(&self, a: &Path, b: PathBuf, c: &OsStr, d: &CStr, e: Option<&Path>) -> Result<()>;
    fn slices(&self, a: &[u16], b: &[&str], c: &[String], d: Vec<Option<u8>>, e: Cow<'_, [u16]>) -> Result<()>;
    fn maps(&self, a: &HashMap<String, u8>, b: HashMap<&str, &str>, c: (u8, &str), d: &(u8, u8)) -> Result<()>;
    fn small(&self, a: bool, b: char, c: f64, d: &u8, e: (), f: u128) -> Result<()>;
    fn parenthesised(&self, a: (u8), b: &(str)) -> Result<()>;
    fn options(&self, a: Option<&u8>, b: Option<&[u16]>, c: Option<&Text>, d: Option<&[u8; 2]>, e: &Option<u8>) -> Result<()>;
    fn statics(&self, a: Cow<'static, str>, b: Cow<'static, [u8]>) -> Result<()>;
    fn boxes(&self, a: Box<str>, b: &Box<str>, c: Box<u8>) -> Result<()>;
}

fn main() {}
