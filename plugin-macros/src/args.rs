//! The options of `#[plugin_interface(..)]` and `#[method(..)]`.

use std::time::Duration;

use proc_macro2::{TokenStream, TokenTree};
use syn::{
    Ident, LitStr, Path, Token,
    ext::IdentExt as _,
    parse::{Parse, ParseStream, Parser as _},
    punctuated::Punctuated,
};

use crate::{errors::Errors, model::Timeout};

/// What `#[plugin_interface(..)]` says.
#[derive(Default)]
pub(crate) struct InterfaceOptions {
    pub(crate) name: Option<String>,
    /// `MAJOR.MINOR.PATCH`
    pub(crate) version: Option<String>,
    pub(crate) krate: Option<Path>,
}

impl InterfaceOptions {
    pub(crate) fn parse(tokens: TokenStream, errors: &mut Errors) -> Self {
        let mut options = Self::default();
        for setting in settings(tokens, errors) {
            match setting.key.unraw().to_string().as_str() {
                "name" => options.name = errors.take(setting.value().and_then(|value| name(&value))),
                "version" => options.version = errors.take(setting.value().and_then(|value| version(&value))),
                "crate" => options.krate = errors.take(setting.path()),
                unknown => errors.at(
                    &setting.key,
                    format!("unknown option `{unknown}`; `#[plugin_interface]` takes `name`, `version` and `crate`"),
                ),
            }
        }
        options
    }
}

/// What `#[method(..)]` says.
#[derive(Default)]
pub(crate) struct MethodOptions {
    pub(crate) name: Option<LitStr>,
    pub(crate) timeout: Timeout,
    pub(crate) oneway: bool,
    pub(crate) idempotent: bool,
}

impl MethodOptions {
    pub(crate) fn parse(tokens: TokenStream, errors: &mut Errors) -> Self {
        let mut options = Self::default();
        let settings = settings(tokens, errors);
        refuse_oneway_idempotent(&settings, errors);
        for setting in settings {
            match setting.key.unraw().to_string().as_str() {
                "name" => options.name = errors.take(setting.value().and_then(|value| name(&value).map(|_| value))),
                "timeout" => {
                    options.timeout =
                        errors.take(setting.value().and_then(|value| timeout(&value))).unwrap_or_default();
                }
                "oneway" => options.oneway = errors.take(setting.flag()).is_some(),
                "idempotent" => options.idempotent = errors.take(setting.flag()).is_some(),
                unknown => errors.at(
                    &setting.key,
                    format!(
                        "unknown option `{unknown}`; `#[method]` takes `name`, `timeout`, `idempotent` and `oneway`"
                    ),
                ),
            }
        }
        options
    }
}

/// A call is repeated where its answer was lost, and a oneway call has none.
fn refuse_oneway_idempotent(settings: &[Setting], errors: &mut Errors) {
    let find = |name| settings.iter().find(|setting| setting.key == name);
    if let (Some(_), Some(idempotent)) = (find("oneway"), find("idempotent")) {
        errors.at(
            &idempotent.key,
            "a oneway call has no answer to be lost, so it is never repeated; remove `idempotent` or `oneway`",
        );
    }
}

/// The comma-separated settings in `tokens`, each key once.
fn settings(tokens: TokenStream, errors: &mut Errors) -> Vec<Setting> {
    let parsed = Punctuated::<Setting, Token![,]>::parse_terminated.parse2(tokens);
    let mut settings: Vec<Setting> = Vec::new();
    for setting in errors.take(parsed).into_iter().flatten() {
        if settings.iter().any(|earlier| earlier.key == setting.key) {
            errors.at(&setting.key, format!("`{}` is given twice; keep one", setting.key));
        } else {
            settings.push(setting);
        }
    }
    settings
}

/// `key` or `key = value`.
struct Setting {
    key: Ident,
    /// The tokens between `=` and the next comma.
    value: Option<TokenStream>,
}

impl Parse for Setting {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let key = input.call(Ident::parse_any)?;
        if input.parse::<Option<Token![=]>>()?.is_none() {
            return Ok(Self { key, value: None });
        }
        let mut value = TokenStream::new();
        while !input.is_empty() && !input.peek(Token![,]) {
            value.extend([input.parse::<TokenTree>()?]);
        }
        Ok(Self { key, value: Some(value) })
    }
}

impl Setting {
    /// Nothing, where there is no value, as there must not be.
    fn flag(&self) -> syn::Result<()> {
        match &self.value {
            Some(_) => Err(syn::Error::new_spanned(&self.key, format!("`{0}` takes no value; write `{0}`", self.key))),
            None => Ok(()),
        }
    }

    /// The value, which must be a string.
    fn value(&self) -> syn::Result<LitStr> {
        let wanted = || syn::Error::new_spanned(&self.key, format!("write `{} = \"...\"`", self.key));
        let value = self.value.clone().filter(|value| !value.is_empty()).ok_or_else(wanted)?;
        syn::parse2(value.clone())
            .map_err(|_| syn::Error::new_spanned(value, format!("expected a string: `{} = \"...\"`", self.key)))
    }

    /// The value, which must be a path, bare or in a string.
    fn path(&self) -> syn::Result<Path> {
        let wanted = |at: &dyn quote::ToTokens| {
            syn::Error::new_spanned(at, format!("expected a path: `{} = some::path`", self.key))
        };
        let value = self.value.clone().filter(|value| !value.is_empty()).ok_or_else(|| wanted(&self.key))?;
        let path = match syn::parse2::<LitStr>(value.clone()) {
            Ok(string) => string.parse_with(Path::parse_mod_style),
            Err(_) => Path::parse_mod_style.parse2(value.clone()),
        };
        path.map_err(|_| wanted(&value))
    }
}

fn name(value: &LitStr) -> syn::Result<String> {
    if value.value().is_empty() {
        return Err(syn::Error::new(value.span(), "a name must not be empty"));
    }
    Ok(value.value())
}

fn version(value: &LitStr) -> syn::Result<String> {
    let text = value.value();
    let parts: Vec<&str> = text.split('.').collect();
    if !matches!(parts.len(), 2 | 3) || !parts.iter().all(|part| is_number(part)) {
        return Err(syn::Error::new(value.span(), "expected a version such as \"1.2\" or \"1.2.3\""));
    }
    Ok(if parts.len() == 2 { format!("{text}.0") } else { text })
}

/// Whether `part` is a number as semver writes it: without leading zeros.
fn is_number(part: &str) -> bool {
    part.bytes().all(|byte| byte.is_ascii_digit())
        && part.parse::<u64>().is_ok()
        && (part == "0" || !part.starts_with('0'))
}

fn timeout(value: &LitStr) -> syn::Result<Timeout> {
    let text = value.value();
    if text == "none" {
        return Ok(Timeout::Unlimited);
    }
    match duration(&text) {
        Some(Duration::ZERO) => {
            Err(syn::Error::new(value.span(), "a timeout of zero would fail every call; write \"none\" for no limit"))
        }
        Some(limit) => Ok(Timeout::After(limit)),
        None => Err(syn::Error::new(
            value.span(),
            "expected a time such as \"250ms\", \"5s\" or \"2m\", or \"none\" for no limit",
        )),
    }
}

fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let number: u64 = number.parse().ok()?;
    match unit {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "m" => number.checked_mul(60).map(Duration::from_secs),
        _ => None,
    }
}
