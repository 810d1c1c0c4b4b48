//! What a cached session holds of the heap.
//!
//! ```sh
//! cd benches && cargo run --release --bin heap
//! ```
//!
//! Everything that is allocated between before the handle is built and after 20,000 sessions are in its cache, and
//! not given back: the handle itself, the cache's tables, tokens and claims. Divided by the sessions, nothing taken
//! off. Resident memory says how much more the allocator and half-used pages make of it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_executor::block_on;
use tower_descope::TokenCache;
use tower_descope_benches::fixture::{descope, sign, unix_now};
use tower_descope_benches::signer::Signer;

const SESSIONS: usize = 20_000;

/// The system's allocator, counting what is out.
struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.fetch_add(layout.size(), Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(memory, layout) }
    }
}

fn main() {
    let signer = Signer::new("SK1");
    let now = unix_now();
    let tokens = sign(&signer, 0..SESSIONS, now);
    // What the first handle of a process sets up for good is no session's.
    block_on(descope(&signer, TokenCache::new()).validate_session(&tokens[0])).expect("valid");

    let (held, resident) = (HELD.load(Ordering::Relaxed), resident());
    // Room enough that nothing is evicted.
    let cache = TokenCache::new().entries(2 * SESSIONS).bytes(256 << 20);
    let descope = descope(&signer, cache);
    for token in &tokens {
        block_on(descope.validate_session(token)).expect("valid");
    }
    let grown = HELD.load(Ordering::Relaxed) - held;
    let resident = self::resident() - resident;
    assert_eq!(descope.stats().cached_sessions, SESSIONS);

    let token = tokens[0].len();
    let each = grown / SESSIONS;
    println!("token: {token} bytes");
    println!(
        "heap per cached session: {each} bytes, the token and {} more",
        each - token
    );
    println!(
        "resident memory per cached session: {} bytes",
        resident / SESSIONS
    );
}

fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes: Option<usize> =
        line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    kilobytes.unwrap_or(0) * 1024
}
