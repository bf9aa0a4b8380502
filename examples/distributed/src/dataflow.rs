//! The shards of an index as the workers of one dataflow. Messages go round in a loop whose timestamps count the
//! steps.

use core::cell::RefCell;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use mother::heritage::{ModelGraph, Shard, ShardMessage};
use timely::communication::initialize::Hooks;
use timely::communication::logging::{CommunicationEvent, CommunicationEventBuilder};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::generic::operator::Operator as _;
use timely::dataflow::operators::{ConnectLoop as _, Feedback as _};
use timely::logging_core::Logger;
use timely::worker::Worker;

use crate::checkpoint::Checkpoints;
use crate::{Failure, note};

/// The bytes that this process sent to others.
static SENT: AtomicU64 = AtomicU64::new(0);

pub(crate) fn bytes_sent() -> u64 {
    SENT.load(Ordering::Relaxed)
}

/// Finds the graph of all models read by all workers. Process 0 gets it.
pub(crate) fn run(
    config: timely::Config,
    checkpoints: Checkpoints,
) -> Result<Option<ModelGraph>, Failure> {
    end_with_any_thread();
    let hooks = Hooks {
        log_fn: Arc::new(|_| Some(counter())),
        ..Hooks::default()
    };
    let (builders, others) = config
        .communication
        .try_build_with(hooks)
        .map_err(Failure)?;
    let work = move |worker: &mut Worker| {
        let shard = fill_shard(worker, &checkpoints).unwrap_or_else(|Failure(error)| end(&error));
        find_graph(worker, shard)
    };
    let guards = timely::execute::execute_from(builders, others, config.worker, work);
    let mut graph = None;
    for found in guards.map_err(Failure)?.join() {
        graph = graph.or(found.map_err(Failure)?);
    }
    Ok(graph)
}

/// The models that one worker read. The worker loads them itself, because an allocator may not reuse on one thread
/// what another has freed.
fn fill_shard(worker: &Worker, checkpoints: &Checkpoints) -> Result<Shard, Failure> {
    let mut shard = Shard::new(worker.index(), worker.peers());
    checkpoints.open(worker.index(), |_, signature| {
        shard.insert(signature).map_err(Failure::of)
    })?;
    Ok(shard)
}

/// The dataflow of one worker: its shard's messages go to other shards, and theirs come back.
fn find_graph(worker: &mut Worker, shard: Shard) -> Option<ModelGraph> {
    let shard = Rc::new(RefCell::new(shard));
    let own = Rc::clone(&shard);
    worker.dataflow::<u64, _, _>(move |scope| {
        let (handle, messages) = scope.feedback::<Vec<ShardMessage>>(1);
        let to_shard = Exchange::new(|message: &ShardMessage| message.to() as u64);
        messages
            .unary_frontier::<CapacityContainerBuilder<Vec<ShardMessage>>, _, _, _>(
                to_shard,
                "Shard",
                move |capability, _| {
                    let mut capability = Some(capability);
                    let mut inboxes: BTreeMap<u64, Vec<ShardMessage>> = BTreeMap::new();
                    move |(input, frontier), output| {
                        input.for_each_stamp(|stamp, containers| {
                            if let Some(&step) = stamp.least() {
                                let inbox = inboxes.entry(step).or_default();
                                containers.for_each(|messages| inbox.append(messages));
                            }
                        });
                        // A step begins once none of its messages is still on its way.
                        while let Some(now) =
                            capability.take_if(|now| !frontier.frontier().less_equal(now.time()))
                        {
                            let inbox = inboxes.remove(now.time()).unwrap_or_default();
                            let mut shard = own.borrow_mut();
                            let sent = shard.step(inbox).unwrap_or_else(|error| end(&error));
                            output.session(&now).give_iterator(sent.into_iter());
                            if !shard.is_done() {
                                capability = Some(now.delayed(&(now.time() + 1)));
                            }
                        }
                    }
                },
            )
            .connect_loop(handle);
    });
    while worker.has_dataflows() {
        worker.step_or_park(None);
    }
    shard.borrow().graph().cloned()
}

/// Ends this process. The others then lose the connection and end too.
fn end(error: &dyn core::fmt::Display) -> ! {
    note(&format!("mother-distributed: {error}"));
    std::process::exit(1)
}

/// Ends this process if any of its threads ends. The engine stops a thread that loses the connection to another
/// process, and then no graph can be found.
fn end_with_any_thread() {
    std::panic::set_hook(Box::new(|panic| {
        let payload = panic.payload();
        let message = payload.downcast_ref::<String>().map(String::as_str);
        let message = message.or(payload.downcast_ref::<&str>().copied());
        note(&format!(
            "mother-distributed: {}",
            message.unwrap_or("a thread stopped")
        ));
        std::process::exit(1);
    }));
}

/// Counts the bytes sent to other processes.
fn counter() -> Logger<CommunicationEventBuilder> {
    type Events = Option<Vec<(Duration, CommunicationEvent)>>;
    Logger::new(Instant::now(), Duration::ZERO, |_, events: &mut Events| {
        let events = events.iter_mut().flat_map(|events| events.drain(..));
        let sent = events.filter_map(|(_, event)| match event {
            CommunicationEvent::Message(message) if message.is_send => {
                Some(message.header.required_bytes() as u64)
            }
            _ => None,
        });
        SENT.fetch_add(sent.sum(), Ordering::Relaxed);
    })
}
