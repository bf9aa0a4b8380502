//! Server-sent events of a job, until it ends or the hub stops.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, Stream};
use tokio::sync::watch;

use crate::error::HubError;
use crate::hub::Hub;
use crate::jobs::JobView;

/// How often something is sent while nothing happens, to keep connections open.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The shortest time between two events of one job.
const PAUSE: Duration = Duration::from_millis(100);

/// The next thing to send.
enum Next {
    /// This state first, followed by later events.
    First(JobView, Option<watch::Receiver<JobView>>),
    Changes(watch::Receiver<JobView>),
    End,
}

/// The events of a job.
pub(crate) fn of_job(hub: &Arc<Hub>, number: i64, view: JobView) -> Result<Response, HubError> {
    let changes = hub.watch_job(number);
    // It may have ended between the two.
    let view = if changes.is_some() {
        view
    } else {
        hub.job(number)?
    };
    let stream = events(view, changes, hub.shutdown.subscribe());
    Ok(Sse::new(stream)
        .keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
        .into_response())
}

fn events(
    view: JobView,
    changes: Option<watch::Receiver<JobView>>,
    shutdown: watch::Receiver<bool>,
) -> impl Stream<Item = Result<Event, Infallible>> {
    let first = Next::First(view, changes);
    stream::unfold((first, shutdown), |(next, mut shutdown)| async move {
        let (view, changes) = match next {
            Next::First(view, changes) => (view, changes),
            Next::Changes(mut changes) => {
                tokio::time::sleep(PAUSE).await;
                let view = tokio::select! {
                    changed = changes.changed() => changed.is_ok().then(|| changes.borrow().clone())?,
                    _ = shutdown.wait_for(|stops| *stops) => return None,
                };
                (view, Some(changes))
            }
            Next::End => return None,
        };
        let next = match changes {
            Some(changes) if !view.is_finished => Next::Changes(changes),
            _ => Next::End,
        };
        let event = Event::default()
            .event("job")
            .json_data(&view)
            .unwrap_or_default();
        Some((Ok(event), (next, shutdown)))
    })
}
