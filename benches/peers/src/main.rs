//! Other crates for the same job, on the same tokens, in one run: a Markdown table.
//!
//! ```sh
//! cd benches/peers && cargo run --release
//! ```
//!
//! In process, without sockets: the request goes to a clone of the app. Medians of interleaved rounds (`ROUNDS`,
//! default 11), ratios within a round. jsonwebtoken 11 has one backend per process, so tower-oauth2-resource-server
//! with its default one runs in a child process, in turn with the others.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::rc::Rc;
use std::time::Duration;

use http::{HeaderValue, StatusCode};
use tokio::runtime::Runtime;
use tower_descope_benches::fixture::{LIVE, Raw};
use tower_descope_benches::rounds::{Probe, interleave, rounds, thread_time};
use tower_descope_benches::signer::Signer;
use tower_descope_peers::{App, Contender, Issuer, current_thread};

const RAW: &str = "raw RSA-2048 verification, parsed key";
/// Requests per round.
const FAST: usize = 5_000;
const SLOW: usize = 300;

fn main() {
    let mut arguments = std::env::args().skip(1);
    if let (Some(name), Some(base)) = (arguments.next(), arguments.next()) {
        return serve_batches(&name, &base);
    }
    Contender::TowerOauth2.choose_backend();
    let signer = Signer::new("SK1");
    let issuer = Issuer::start(&signer);
    let tokens = issuer.sign(&signer, LIVE);
    let raw = Raw::new(&signer);
    let runtime = Rc::new(current_thread());

    let mut probes = vec![Probe::each(RAW, SLOW, |n| raw.verify(&tokens[n % LIVE]))];
    for contender in Contender::ALL {
        let (name, times) = (contender.name(), times(contender));
        if contender == Contender::TowerOauth2Default {
            let mut other = OtherProcess::start(contender, &issuer, &tokens);
            probes.push(Probe::batch(name, times, move |times| other.batch(times)));
        } else {
            let mut batches = Batches::new(contender, &issuer, &tokens, runtime.clone());
            probes.push(Probe::batch(name, times, move |times| batches.run(times)));
        }
    }
    let figures = interleave(rounds(11), probes);

    println!("Tokens of {} bytes, {LIVE} of them.\n", tokens[0].len());
    println!("| | ns | / floor | / raw RSA | / ours |");
    println!("|---|--:|--:|--:|--:|");
    println!("| {RAW} | {:.0} | | 1.00 | |", figures.ns(RAW));
    let ours = Contender::Ours.name();
    for contender in Contender::ALL {
        let name = contender.name();
        println!(
            "| {name} | {:.0} | {:.2} | {:.3} | {:.2} |",
            figures.ns(name),
            figures.ratio(name, contender.floor().name()),
            figures.ratio(name, RAW),
            figures.ratio(name, ours),
        );
    }
    let peers = Contender::ALL
        .into_iter()
        .filter(|contender| contender.is_peer());
    let fastest = peers
        .min_by(|a, b| figures.ns(a.name()).total_cmp(&figures.ns(b.name())))
        .expect("peers");
    println!(
        "\nfastest peer: {}; a known session is {:.1} times as fast, a new one {:.2} times",
        fastest.name(),
        figures.ratio(fastest.name(), ours),
        figures.ratio(fastest.name(), Contender::OursUncached.name()),
    );
}

fn times(contender: Contender) -> usize {
    if contender.is_peer() || contender == Contender::OursUncached {
        SLOW
    } else {
        FAST
    }
}

/// Requests to one app, so many at a time.
struct Batches {
    app: App,
    /// Made once, as a server's are slices of what it has read.
    headers: Vec<HeaderValue>,
    runtime: Rc<Runtime>,
    next: usize,
}

impl Batches {
    fn new(contender: Contender, issuer: &Issuer, tokens: &[String], runtime: Rc<Runtime>) -> Self {
        let headers: Vec<_> = tokens.iter().map(|token| bearer(token)).collect();
        let app = runtime.block_on(async {
            let app = contender.app(issuer).await;
            app.ready(&headers[0]).await;
            for header in &headers {
                assert_eq!(
                    app.call(header).await,
                    StatusCode::OK,
                    "{}",
                    contender.name()
                );
            }
            let refused = app.call(&bearer("e30.e30.")).await;
            assert_eq!(refused == StatusCode::OK, contender.floor() == contender);
            app
        });
        Self {
            app,
            headers,
            runtime,
            next: 0,
        }
    }

    fn run(&mut self, times: usize) -> Duration {
        let (app, headers, next) = (&self.app, &self.headers, self.next);
        self.next += times;
        self.runtime.block_on(async {
            let began = thread_time();
            for n in next..next + times {
                app.call(&headers[n % LIVE]).await;
            }
            thread_time() - began
        })
    }
}

fn bearer(token: &str) -> HeaderValue {
    format!("Bearer {token}").parse().expect("a header value")
}

/// The same in a process of its own: tokens go in first, then how many requests to make; nanoseconds come out.
struct OtherProcess {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl OtherProcess {
    fn start(contender: Contender, issuer: &Issuer, tokens: &[String]) -> Self {
        let program = std::env::current_exe().expect("this program");
        let mut child = Command::new(program)
            .args([contender.name(), issuer.base()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a child process");
        let mut input = child.stdin.take().expect("a pipe");
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        for token in tokens {
            writeln!(input, "{token}").expect("a listening child");
        }
        Self {
            child,
            input,
            output,
        }
    }

    fn batch(&mut self, times: usize) -> Duration {
        writeln!(self.input, "{times}").expect("a listening child");
        let mut line = String::new();
        self.output.read_line(&mut line).expect("an answer");
        Duration::from_nanos(line.trim().parse().expect("nanoseconds"))
    }
}

impl Drop for OtherProcess {
    fn drop(&mut self) {
        // It would end by itself when its input does; this way it has ended when we do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn serve_batches(name: &str, base: &str) {
    let contender = Contender::named(name).expect("a contender");
    contender.choose_backend();
    let mut lines = std::io::stdin().lines().map(|line| line.expect("text"));
    let tokens: Vec<String> = lines.by_ref().take(LIVE).collect();
    let mut batches = Batches::new(
        contender,
        &Issuer::at(base),
        &tokens,
        current_thread().into(),
    );
    for line in lines {
        println!(
            "{}",
            batches.run(line.parse().expect("a number")).as_nanos()
        );
    }
}
