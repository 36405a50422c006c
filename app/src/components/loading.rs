//! What a page shows is asked of the server as text, and read where it is shown.
//!
//! One kind of question and one kind of answer for every page: what the compiler would write again
//! for each type is most of what a browser would have to download.

use super::page::Refresh;
use crate::{
    api::{ApiError, ErrorCode},
    reading,
};
use leptos::{prelude::*, server::codee::string::FromToStringCodec, server_fn::ServerFn};
use leptos_router::hooks::use_location;
use serde::{Serialize, de::DeserializeOwned};
use std::{
    convert::Infallible, fmt, marker::PhantomData, pin::Pin, str::FromStr, sync::Arc,
    time::Duration,
};

/// JSON, or why there is none.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer(Result<Arc<str>, ApiError>);

impl Answer {
    /// For a question that needs no server.
    pub fn known(json: &str) -> Self {
        Self(Ok(json.into()))
    }

    fn read<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        reading::read(self.0.as_ref().map_err(Clone::clone)?)
    }
}

impl From<ApiError> for Answer {
    fn from(error: ApiError) -> Self {
        Self(Err(error))
    }
}

/// As it stands in a page: an error after a mark that no JSON begins with.
impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Ok(text) => f.write_str(text),
            Err(error) => {
                let error = serde_json::to_string(error).map_err(|_| fmt::Error)?;
                write!(f, "!{error}")
            }
        }
    }
}

impl FromStr for Answer {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text.strip_prefix('!') {
            None => Self::known(text),
            Some(error) => Self(Err(reading::read(error).unwrap_or_else(|error| error))),
        })
    }
}

/// A server function's arguments as they are posted, or an answer that needs no server.
type Question = Result<String, Answer>;
type Asking = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// The one resource of every page.
pub type Answering = Resource<Answer, FromToStringCodec>;

/// What a page waits for.
pub struct Loading<T> {
    answer: Answering,
    of: PhantomData<fn() -> T>,
}

impl<T> Clone for Loading<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Loading<T> {}

impl<T: DeserializeOwned> Loading<T> {
    pub async fn get(self) -> Result<T, ApiError> {
        self.answer.await.read()
    }

    /// What is there now, and again whenever it changes; gone with its page.
    pub fn now(self) -> Option<Result<T, ApiError>> {
        let answer = self.answer.try_with(|answer| answer.clone())??;
        Some(answer.read())
    }

    /// For what shows it: the answer, and how its text becomes a view.
    pub(super) fn into_parts(self, page: fn(T) -> AnyView) -> (Answering, Show)
    where
        T: 'static,
    {
        let show = move |answer: &Answer| answer.read().map(page);
        (self.answer, Arc::new(show))
    }
}

pub(super) type Show = Arc<dyn Fn(&Answer) -> Result<AnyView, ApiError> + Send + Sync>;

/// A server function of the console, as the arguments that it is called with.
pub trait Asks:
    ServerFn<Error = ApiError, Output: Serialize> + Serialize + DeserializeOwned + 'static
{
}

impl<Q> Asks for Q where
    Q: ServerFn<Error = ApiError, Output: Serialize> + Serialize + DeserializeOwned + 'static
{
}

/// What a page shows, asked again when its address or anything on it changes. `question` makes a
/// server function's arguments of what the page is about.
pub fn load<S, Q: Asks>(
    source: impl Fn() -> S + Send + Sync + 'static,
    question: impl Fn(S) -> Q + Send + Sync + 'static,
) -> Loading<Q::Output> {
    load_unless(source, move |about| Ok(question(about)))
}

/// The same, where some of what a page may be about has an answer already.
pub fn load_unless<S, Q: Asks>(
    source: impl Fn() -> S + Send + Sync + 'static,
    question: impl Fn(S) -> Result<Q, Answer> + Send + Sync + 'static,
) -> Loading<Q::Output> {
    let refresh = expect_context::<Refresh>().0;
    let changes = move || (refresh.get(), String::new());
    loading(Box::new(changes), source, question)
}

/// What every page shows, asked again on each of them as well.
pub fn load_everywhere<Q: Asks>(
    question: impl Fn() -> Q + Send + Sync + 'static,
) -> Loading<Q::Output> {
    let (refresh, path) = (expect_context::<Refresh>().0, use_location().pathname);
    let changes = move || (refresh.get(), path.get());
    loading(Box::new(changes), || (), move |()| Ok(question()))
}

/// What is looked up while somebody types. A page that changes is built anew with it: there it is
/// not asked again.
pub fn look_up<S, Q: Asks>(
    source: impl Fn() -> S + Send + Sync + 'static,
    question: impl Fn(S) -> Result<Q, Answer> + Send + Sync + 'static,
) -> Loading<Q::Output> {
    loading(Box::new(Default::default), source, question)
}

/// What is asked again when it changes, though the question stays the same.
type Changes = Box<dyn Fn() -> (u32, String) + Send + Sync>;

fn loading<S, Q: Asks>(
    changes: Changes,
    source: impl Fn() -> S + Send + Sync + 'static,
    question: impl Fn(S) -> Result<Q, Answer> + Send + Sync + 'static,
) -> Loading<Q::Output> {
    let question = move || {
        let arguments = question(source())?;
        serde_qs::to_string(&arguments).map_err(|_| ApiError::new(ErrorCode::BadRequest).into())
    };
    Loading {
        answer: resource(changes, Box::new(question), ask::<Q>),
        of: PhantomData,
    }
}

/// Asks a server function that takes nothing, outside of what a page shows.
pub async fn ask_once<Q: Asks>() -> Result<Q::Output, ApiError>
where
    Q::Output: DeserializeOwned,
{
    ask::<Q>(String::new()).await.read()
}

fn resource(
    changes: Changes,
    question: Box<dyn Fn() -> Question + Send + Sync>,
    ask: fn(String) -> Asking,
) -> Answering {
    Resource::new_str(
        move || (changes(), question()),
        move |(_, question)| -> Asking {
            match question {
                Ok(arguments) => ask(arguments),
                Err(answer) => Box::pin(std::future::ready(answer)),
            }
        },
    )
}

#[cfg(feature = "ssr")]
fn ask<Q: Asks>(arguments: String) -> Asking {
    Box::pin(async move {
        let answer = async {
            let question: Q = serde_qs::Config::new(5, false)
                .deserialize_str(&arguments)
                .map_err(|_| ApiError::new(ErrorCode::BadRequest))?;
            let answer = question.run_body().await?;
            serde_json::to_string(&answer).map_err(|_| ApiError::new(ErrorCode::Internal))
        };
        Answer(answer.await.map(Arc::from))
    })
}

#[cfg(not(feature = "ssr"))]
fn ask<Q: Asks>(arguments: String) -> Asking {
    Box::pin(post(Q::PATH, arguments))
}

#[cfg(not(feature = "ssr"))]
fn post(path: &'static str, arguments: String) -> impl Future<Output = Answer> + Send {
    // A browser has one thread.
    send_wrapper::SendWrapper::new(async move {
        Answer(crate::browser::ask(path, &arguments).await.map(Arc::from))
    })
}

/// Asks again every second while something is under way; when it is over, everything is loaded
/// once more.
pub fn keep_fresh<T: DeserializeOwned + 'static>(data: Loading<T>, live: fn(&T) -> bool) {
    keep_asking(
        data.answer,
        Box::new(move || Some(data.now()?.map(|value| live(&value)))),
    );
}

fn keep_asking(data: Answering, live: Box<dyn Fn() -> Option<Result<bool, ApiError>>>) {
    let refresh = expect_context::<Refresh>().0;
    Effect::new(move |was_live: Option<bool>| {
        let was_live = was_live.unwrap_or(false);
        let is_live = match live() {
            Some(Ok(live)) => live,
            // The server may be starting anew.
            Some(Err(error)) => was_live && error.code == ErrorCode::Unavailable,
            None => was_live,
        };
        if is_live {
            ask_in(data, Duration::from_secs(1));
        } else if was_live {
            refresh.update(|n| *n += 1);
        }
        is_live
    });
}

/// Asks again and again for as long as the address says so, for what is watched as it happens.
pub fn follow<T>(data: Loading<T>, every: Duration, wanted: impl Fn() -> bool + 'static) {
    let data = data.answer;
    Effect::new(move |_| {
        // Each answer asks for the next look.
        data.track();
        if wanted() {
            ask_in(data, every);
        }
    });
}

fn ask_in(data: Answering, time: Duration) {
    if let Ok(timer) = set_timeout_with_handle(move || data.refetch(), time) {
        on_cleanup(move || timer.clear());
    }
}
