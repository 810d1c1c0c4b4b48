//! A value for each of several types, made once and kept.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;

/// Values by type, for a number of types that the program's source fixes. Finding one takes no lock.
#[derive(Default)]
pub(crate) struct PerType {
    values: ArcSwap<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>,
}

impl PerType {
    /// The value that is kept for `K`; `make` makes it. When several threads ask first, each may make one, and all but
    /// one are dropped.
    pub(crate) fn get_or_make<K: 'static, V: Send + Sync + 'static>(
        &self,
        make: fn() -> V,
    ) -> Arc<V> {
        let key = TypeId::of::<K>();
        let kept = |values: &HashMap<_, Arc<dyn Any + Send + Sync>>| {
            let value = values.get(&key)?.clone();
            value.downcast::<V>().ok()
        };
        if let Some(value) = kept(&self.values.load()) {
            return value;
        }
        let made: Arc<V> = Arc::new(make());
        self.values.rcu(|values| {
            let mut values = HashMap::clone(values);
            values.entry(key).or_insert_with(|| made.clone());
            values
        });
        kept(&self.values.load()).unwrap_or(made)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn one_value_for_each_type() {
        struct One;
        struct Two;
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let make = || MADE.fetch_add(1, Ordering::Relaxed);
        let values = PerType::default();
        let one = values.get_or_make::<One, _>(make);
        let two = values.get_or_make::<Two, _>(make);
        assert_ne!(one, two);
        assert!(Arc::ptr_eq(&one, &values.get_or_make::<One, _>(make)));
        assert_eq!(MADE.load(Ordering::Relaxed), 2);
    }
}
