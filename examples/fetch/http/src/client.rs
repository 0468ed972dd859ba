//! Fetching over HTTP.

use std::error::Error;

use fetch_api::{FetchError, Page};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::{Response, Uri, body::Bytes, body::Incoming, header::CONTENT_TYPE};
use hyper_util::{
    client::legacy::{Client as Pool, connect::HttpConnector},
    rt::TokioExecutor,
};

/// How long a page may be.
const MAX_PAGE: usize = 16 << 20;

/// Keeps connections to servers for the next page.
pub(crate) struct Client(Pool<HttpConnector, Empty<Bytes>>);

impl Default for Client {
    fn default() -> Self {
        Self(Pool::builder(TokioExecutor::new()).build_http())
    }
}

impl Client {
    /// What is at `url`.
    pub(crate) async fn get(&self, url: &str) -> Result<Page, FetchError> {
        let address: Uri = url.parse().map_err(|error| bad_url(url, &error))?;
        if address.scheme_str() != Some("http") || address.host().is_none() {
            return Err(bad_url(url, &"it must begin with `http://` and a host"));
        }
        let response = self.0.get(address).await.map_err(|error| failed(url, &error))?;
        if !response.status().is_success() {
            return Err(FetchError::Status { url: url.into(), status: response.status().as_u16() });
        }
        page(response).await.map_err(|error| failed(url, &*error))
    }
}

async fn page(response: Response<Incoming>) -> Result<Page, Box<dyn Error + Send + Sync>> {
    let media_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let body = Limited::new(response.into_body(), MAX_PAGE).collect().await?.to_bytes();
    Ok(Page { media_type, body: body.into() })
}

fn bad_url(url: &str, reason: &dyn ToString) -> FetchError {
    FetchError::BadUrl { url: url.into(), reason: reason.to_string() }
}

fn failed(url: &str, error: &(dyn Error + 'static)) -> FetchError {
    FetchError::Failed { url: url.into(), reason: with_causes(error) }
}

/// The message of `error` and those of its causes.
fn with_causes(error: &dyn Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", with_causes(cause)),
        None => error.to_string(),
    }
}
