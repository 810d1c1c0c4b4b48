//! What a test logs.
//!
//! tracing asks each callsite once whether anybody is interested and keeps the answer for the whole process. Subscribers
//! that come and go with the tests of one process make that answer depend on who came first. So there is one subscriber,
//! it is interested in everything, and it writes to whatever the thread of an event has for it.
#![allow(dead_code, unreachable_pub)]

use std::cell::RefCell;
use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::{Arc, Mutex, Once};

use tracing::{Level, Metadata};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::DynFilterFn;
use tracing_subscriber::layer::SubscriberExt;

type Lines = Arc<Mutex<Vec<u8>>>;

/// What a thread wants to keep of its events, and where.
#[derive(Clone)]
struct Sink {
    level: Level,
    lines: Lines,
}

thread_local! {
    static SINK: RefCell<Option<Sink>> = const { RefCell::new(None) };
}

/// For the events of all threads, if somebody wants them.
static EVERYBODY: Mutex<Option<Sink>> = Mutex::new(None);

/// What this thread, or the whole process, logs from now on until this is dropped.
pub struct Log {
    lines: Lines,
    of_everybody: bool,
    /// Stays in its thread.
    _thread: PhantomData<Rc<()>>,
}

impl Log {
    /// Warnings and errors of this thread.
    pub fn start() -> Self {
        Self::of_level(Level::WARN)
    }

    /// What this thread logs at this level or above it.
    pub fn of_level(level: Level) -> Self {
        install();
        let lines = Lines::default();
        let sink = Sink {
            level,
            lines: lines.clone(),
        };
        SINK.with_borrow_mut(|place| assert!(place.replace(sink).is_none(), "one at a time"));
        Self {
            lines,
            of_everybody: false,
            _thread: PhantomData,
        }
    }

    /// Everything that any thread logs.
    pub fn of_everybody() -> Self {
        install();
        let lines = Lines::default();
        let sink = Sink {
            level: Level::TRACE,
            lines: lines.clone(),
        };
        let before = EVERYBODY.lock().unwrap().replace(sink);
        assert!(before.is_none(), "one at a time");
        Self {
            lines,
            of_everybody: true,
            _thread: PhantomData,
        }
    }

    /// All of it.
    pub fn text(&self) -> String {
        String::from_utf8(self.lines.lock().unwrap().clone()).unwrap()
    }

    /// How many lines say this.
    pub fn count(&self, what: &str) -> usize {
        let text = self.text();
        text.lines().filter(|line| line.contains(what)).count()
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        match self.of_everybody {
            true => *EVERYBODY.lock().unwrap() = None,
            false => SINK.with_borrow_mut(|place| *place = None),
        }
    }
}

fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let lines = tracing_subscriber::fmt::layer()
            .with_ansi(false)
            .with_writer(Writer::default)
            .with_filter(DynFilterFn::new(|event, _| is_wanted(event)));
        let subscriber = tracing_subscriber::registry().with(lines);
        tracing::subscriber::set_global_default(subscriber).unwrap();
    });
}

fn is_wanted(event: &Metadata<'_>) -> bool {
    sinks().any(|sink| *event.level() <= sink.level)
}

fn sinks() -> impl Iterator<Item = Sink> {
    // A thread that ends may still log.
    let own = SINK.try_with(|place| place.borrow().clone()).ok().flatten();
    let everybody = EVERYBODY.lock().unwrap().clone();
    own.into_iter().chain(everybody)
}

/// One event.
#[derive(Default)]
struct Writer(Vec<u8>);

impl std::io::Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        for sink in sinks() {
            sink.lines.lock().unwrap().extend_from_slice(&self.0);
        }
    }
}
