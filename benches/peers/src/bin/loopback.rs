//! The same apps end to end: HTTP over loopback, driven by `wrk`.
//!
//! ```sh
//! cd benches/peers && cargo run --release --bin loopback
//! ```
//!
//! Needs `wrk` and `taskset`. Each server is this program again, on core 0; `wrk -t1 -c32` is on core 1 and goes
//! through 1,000 tokens. All servers are up all the time and are driven in turn, `ROUNDS` (default 11) times for
//! `SECONDS` (default 1), each time up to thrice until nobody else is at work. The client is what limits the fast ones, so the honest ratio is the server's CPU time per
//! request; requests a second are what one sees. On a machine with other work to do one sees little of them: then
//! "two cores" says how many it would be if server and client had a core each to themselves, from the CPU time of
//! whichever of the two needs more.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use tower_descope_benches::fixture::LIVE;
use tower_descope_benches::rounds::{median, rounds};
use tower_descope_benches::signer::Signer;
use tower_descope_peers::{Contender, Issuer, current_thread};

/// The floor, ours, and the fastest of the peers in process.
const DRIVEN: [Contender; 7] = [
    Contender::Floor,
    Contender::Ours,
    Contender::OursOutside,
    Contender::OursUncached,
    Contender::TowerOauth2,
    Contender::JwtAuthorizer,
    Contender::AxumJwks,
];

fn main() {
    let mut arguments = std::env::args().skip(1);
    if let (Some(name), Some(base)) = (arguments.next(), arguments.next()) {
        return serve(&name, &base);
    }
    let seconds = std::env::var("SECONDS").unwrap_or_else(|_| "1".to_owned());
    let rounds = rounds(11);
    let signer = Signer::new("SK1");
    let issuer = Issuer::start(&signer);
    let script = Script::write(&issuer.sign(&signer, LIVE));
    let servers = DRIVEN.map(|contender| Server::start(contender, &issuer));

    let mut figures = DRIVEN.map(|_| Vec::new());
    for round in 0..=rounds {
        for (server, figures) in servers.iter().zip(&mut figures) {
            let load = server.drive(&script, &seconds);
            // The first round warms up, and makes sessions known.
            if round > 0 {
                figures.push(load);
            }
        }
    }

    let index = |contender| {
        DRIVEN
            .iter()
            .position(|known| *known == contender)
            .expect("driven")
    };
    let floor = &figures[index(Contender::Floor)];
    println!(
        "| | req/s | / floor | two cores, req/s | / floor | server CPU, µs a request | / floor |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|");
    for (contender, loads) in DRIVEN.iter().zip(&figures) {
        println!(
            "| {} | {:.0} | {:.3} | {:.0} | {:.3} | {:.2} | {:.2} |",
            contender.name(),
            median(loads.iter().map(|load| load.per_second).collect()),
            ratio(loads, floor, |load| load.per_second),
            median(loads.iter().map(Load::on_two_cores).collect()),
            ratio(loads, floor, Load::on_two_cores),
            median(loads.iter().map(|load| load.cpu_each).collect()),
            ratio(loads, floor, |load| load.cpu_each),
        );
    }
    let ours = &figures[index(Contender::Ours)];
    let all = || figures.iter().flatten();
    let quiet = all().filter(|load| load.others <= QUIET).count();
    println!(
        "\n{quiet} of {} runs had the machine to themselves.",
        all().count()
    );
    println!("\n| requests a second, ours over theirs | seen | two cores |");
    println!("|---|--:|--:|");
    for (contender, loads) in DRIVEN.iter().zip(&figures) {
        if contender.is_peer() {
            println!(
                "| {} | {:.1} | {:.1} |",
                contender.name(),
                ratio(ours, loads, |load| load.per_second),
                ratio(ours, loads, Load::on_two_cores),
            );
        }
    }
}

/// The median of the ratios within a round.
fn ratio(loads: &[Load], base: &[Load], of: impl Fn(&Load) -> f64) -> f64 {
    median(loads.iter().zip(base).map(|(a, b)| of(a) / of(b)).collect())
}

/// What became of one run. CPU times are in microseconds a request.
struct Load {
    per_second: f64,
    cpu_each: f64,
    client_cpu_each: f64,
    /// The share of the machine's work that was neither the server's nor the client's.
    others: f64,
}

/// Runs of one server in a round, until one is quiet.
const ATTEMPTS: usize = 3;
const QUIET: f64 = 0.1;

impl Load {
    fn on_two_cores(&self) -> f64 {
        1e6 / self.cpu_each.max(self.client_cpu_each)
    }
}

/// Another process of this program, which ends with this one.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(contender: Contender, issuer: &Issuer) -> Self {
        let program = std::env::current_exe().expect("this program");
        let mut child = Command::new("taskset")
            .args(["-c", "0"])
            .arg(program)
            .args([contender.name(), issuer.base()])
            // The server ends when this pipe does.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("taskset");
        let mut address = String::new();
        let output = child.stdout.take().expect("a pipe");
        BufReader::new(output)
            .read_line(&mut address)
            .expect("an address");
        let address = address.trim().to_owned();
        Self { child, address }
    }

    /// Again while others were at work on the machine, a few times at most.
    fn drive(&self, script: &Script, seconds: &str) -> Load {
        let mut loads: Vec<Load> = Vec::new();
        while loads.len() < ATTEMPTS && loads.iter().all(|load| load.others > QUIET) {
            loads.push(self.drive_once(script, seconds));
        }
        let quietest = loads
            .into_iter()
            .min_by(|a, b| a.others.total_cmp(&b.others));
        quietest.expect("an attempt")
    }

    fn drive_once(&self, script: &Script, seconds: &str) -> Load {
        let machine = busy_ticks();
        let before = (self.cpu_ticks(), client_ticks());
        let output = Command::new("taskset")
            .args(["-c", "1", "wrk", "-t1", "-c32", "-d", seconds, "-s"])
            .arg(&script.0)
            .arg(format!("http://{}/", self.address))
            .output()
            .expect("wrk");
        let after = (self.cpu_ticks(), client_ticks());
        let machine = busy_ticks() - machine;
        let report = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success()
                && !report.contains("Non-2xx")
                && !report.contains("Socket errors"),
            "{report}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let requests = number_before(&report, " requests in ");
        let per_second = report
            .lines()
            .find_map(|line| line.strip_prefix("Requests/sec:")?.trim().parse().ok())
            .expect("wrk's report");
        // `USER_HZ` is 100 wherever Linux runs.
        let ours = after.0 - before.0 + after.1 - before.1;
        let each = |before: f64, after: f64| (after - before) * 10_000.0 / requests;
        Load {
            per_second,
            cpu_each: each(before.0, after.0),
            client_cpu_each: each(before.1, after.1),
            others: (machine - ours) / machine,
        }
    }

    fn cpu_ticks(&self) -> f64 {
        ticks(&self.child.id().to_string(), UTIME)
    }
}

/// What the clients have had so far: they are the children that have ended.
fn client_ticks() -> f64 {
    ticks("self", CUTIME)
}

/// Where proc_pid_stat(5) has a process's own time, after its name: in user mode, then in the kernel.
const UTIME: usize = 11;
const CUTIME: usize = 13;

/// What all cores have done so far, but for interrupts.
fn busy_ticks() -> f64 {
    let stat = std::fs::read_to_string("/proc/stat").expect("the machine's times");
    // cpu, user, nice, system
    let fields = stat.split_whitespace().skip(1).take(3);
    fields
        .map(|field| field.parse::<f64>().expect("ticks"))
        .sum()
}

fn ticks(process: &str, field: usize) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("a process");
    // The name may hold blanks; what follows it does not.
    let (_, rest) = stat.rsplit_once(')').expect("a name");
    let fields = rest.split_whitespace().skip(field).take(2);
    fields
        .map(|field| field.parse::<f64>().expect("ticks"))
        .sum()
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn number_before(text: &str, mark: &str) -> f64 {
    let (before, _) = text.split_once(mark).expect("wrk's report");
    let word = before.split_whitespace().next_back().expect("wrk's report");
    word.parse().expect("a number")
}

/// Has `wrk` go through the tokens. Removed when done with.
struct Script(PathBuf);

impl Script {
    fn write(tokens: &[String]) -> Self {
        let path = std::env::temp_dir().join(format!("wrk-{}.lua", std::process::id()));
        let mut file = std::fs::File::create(&path).expect("a temporary file");
        let mut lua = String::from("local tokens = {\n");
        for token in tokens {
            lua += &format!("\"{token}\",\n");
        }
        // Requests are put together once, so that the client stays as fast as it can.
        lua += "}\nlocal requests, n = {}, 0
function init()
  for i, token in ipairs(tokens) do
    requests[i] = wrk.format('GET', '/', {['Authorization'] = 'Bearer ' .. token})
  end
end
function request()
  n = n % #requests + 1
  return requests[n]
end
";
        file.write_all(lua.as_bytes()).expect("a temporary file");
        Self(path)
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// What the child does: serves until nobody holds its input.
fn serve(name: &str, base: &str) {
    let contender = Contender::named(name).expect("a contender");
    contender.choose_backend();
    std::thread::spawn(|| {
        let _ = std::io::stdin().lines().count();
        std::process::exit(0);
    });
    current_thread().block_on(async {
        let app = contender.app(&Issuer::at(base)).await;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        println!("{}", listener.local_addr().expect("an address"));
        app.serve(listener).await;
    });
}
