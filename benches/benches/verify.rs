//! One token at a time, without a request around it.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use futures_executor::block_on;
use tower_descope::TokenCache;
use tower_descope_benches::fixture::{LIVE, Raw, descope, forge, sign, unix_now};
use tower_descope_benches::signer::Signer;

fn verify(c: &mut Criterion) {
    let signer = Signer::new("SK1");
    let now = unix_now();
    let tokens = sign(&signer, 0..LIVE, now);
    let expired = sign(&signer, 0..LIVE, now - 7200);
    let forged: Vec<_> = (0..LIVE).map(|n| forge(&tokens[n], n)).collect();
    let raw = Raw::new(&signer);
    let cached = descope(&signer, TokenCache::new());
    let uncached = descope(&signer, TokenCache::disabled());

    let mut group = c.benchmark_group("verify");
    let mut n = 0;
    let mut next = move || {
        n = (n + 1) % LIVE;
        n
    };
    group.bench_function("raw RSA", |b| b.iter(|| raw.verify(&tokens[next()])));
    for (name, descope, tokens) in [
        ("hit", &cached, &tokens),
        ("new", &uncached, &tokens),
        ("expired", &cached, &expired),
        ("bad signature", &cached, &forged),
    ] {
        group.bench_function(name, |b| {
            b.iter(|| {
                drop(black_box(block_on(
                    descope.validate_session(&tokens[next()]),
                )))
            })
        });
    }
    group.bench_function("garbage", |b| {
        b.iter(|| drop(black_box(block_on(cached.validate_session("garbage")))))
    });
    group.finish();
}

criterion_group!(benches, verify);
criterion_main!(benches);
