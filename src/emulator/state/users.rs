//! Users and tenants.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::super::error::ApiError;
use super::super::random;
use super::State;
use super::totp_key::TotpKey;
use crate::wire::{HistoryEntry, SignUpUser, TenantInfo, UserProfile, UserTenant};

/// A user, with what the user object does not show.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct User {
    pub(crate) profile: UserProfile,
    pub(crate) totp_key: Option<TotpKey>,
    pub(crate) history: Vec<HistoryEntry>,
}

impl User {
    pub(crate) fn is_disabled(&self) -> bool {
        self.profile.status == "disabled"
    }

    pub(crate) fn is_in_tenant(&self, id: &str) -> bool {
        self.profile
            .user_tenants
            .iter()
            .any(|tenant| tenant.tenant_id == id)
    }

    pub(crate) fn has_login_id(&self, login_id: &str) -> bool {
        self.profile.login_ids.iter().any(|own| own == login_id)
    }
}

/// All users and tenants.
#[derive(Default)]
pub(crate) struct Directory {
    users: BTreeMap<String, User>,
    by_login_id: HashMap<String, String>,
    tenants: BTreeMap<String, TenantInfo>,
}

impl Directory {
    pub(crate) fn get(&self, user_id: &str) -> Option<&User> {
        self.users.get(user_id)
    }

    pub(crate) fn get_mut(&mut self, user_id: &str) -> Option<&mut User> {
        self.users.get_mut(user_id)
    }

    /// The id of the user who signs in under this name.
    pub(crate) fn id_of(&self, login_id: &str) -> Option<&str> {
        self.by_login_id.get(login_id).map(String::as_str)
    }

    pub(crate) fn find(&self, login_id: &str) -> Option<&User> {
        self.get(self.id_of(login_id)?)
    }

    /// The id of the user whose number this is, by login id first.
    pub(crate) fn id_by_phone(&self, phone: &str) -> Option<String> {
        self.id_of(phone).map(str::to_owned).or_else(|| {
            self.users
                .iter()
                .find(|(_, user)| user.profile.verified_phone && user.profile.phone == phone)
                .map(|(id, _)| id.clone())
        })
    }

    pub(crate) fn tenant(&self, id: &str) -> Option<&TenantInfo> {
        self.tenants.get(id)
    }

    pub(crate) fn profiles(&self) -> Vec<UserProfile> {
        self.users
            .values()
            .map(|user| user.profile.clone())
            .collect()
    }

    /// A new user with one login id.
    pub(crate) fn create(
        &mut self,
        login_id: &str,
        details: &SignUpUser,
        now: i64,
    ) -> Result<String, ApiError> {
        if self.by_login_id.contains_key(login_id) {
            return Err(ApiError::user_exists());
        }
        let id = random::id("U")?;
        let details = details.clone();
        let profile = UserProfile {
            user_id: id.clone(),
            login_ids: vec![login_id.to_owned()],
            name: details.name,
            given_name: details.given_name,
            middle_name: details.middle_name,
            family_name: details.family_name,
            email: details.email,
            phone: details.phone,
            status: "enabled".to_owned(),
            created_time: now,
            editable: true,
            ..UserProfile::default()
        };
        self.insert(User {
            profile,
            ..User::default()
        });
        Ok(id)
    }

    fn insert(&mut self, user: User) {
        let id = user.profile.user_id.clone();
        for login_id in &user.profile.login_ids {
            self.by_login_id.insert(login_id.clone(), id.clone());
        }
        self.users.insert(id, user);
    }

    fn remove(&mut self, user_id: &str) -> Option<User> {
        let user = self.users.remove(user_id)?;
        for login_id in &user.profile.login_ids {
            self.by_login_id.remove(login_id);
        }
        Some(user)
    }

    /// Adds a login id to this user, who must exist. No other user may have the login id.
    pub(crate) fn add_login_id(&mut self, user_id: &str, login_id: &str) -> Result<(), ApiError> {
        match self.id_of(login_id) {
            Some(owner) if owner == user_id => return Ok(()),
            Some(_) => return Err(ApiError::user_exists()),
            None => {}
        }
        let user = self
            .users
            .get_mut(user_id)
            .ok_or_else(ApiError::user_not_found)?;
        user.profile.login_ids.push(login_id.to_owned());
        self.by_login_id
            .insert(login_id.to_owned(), user_id.to_owned());
        Ok(())
    }

    /// Makes one user of two. The kept one's own values win; login ids, roles and tenants are united.
    pub(crate) fn merge(&mut self, kept: &str, gone: &str) -> Result<(), ApiError> {
        if !self.users.contains_key(kept) {
            return Err(ApiError::user_not_found());
        }
        let gone = self.remove(gone).ok_or_else(ApiError::user_not_found)?;
        let mut user = self.remove(kept).ok_or_else(ApiError::user_not_found)?;
        let (to, from) = (&mut user.profile, gone.profile);
        unite(&mut to.login_ids, from.login_ids);
        unite(&mut to.role_names, from.role_names);
        unite(&mut to.permissions, from.permissions);
        for tenant in from.user_tenants {
            if !to
                .user_tenants
                .iter()
                .any(|own| own.tenant_id == tenant.tenant_id)
            {
                to.user_tenants.push(tenant);
            }
        }
        for (own, other) in [
            (&mut to.name, from.name),
            (&mut to.given_name, from.given_name),
            (&mut to.middle_name, from.middle_name),
            (&mut to.family_name, from.family_name),
        ] {
            if own.is_empty() {
                *own = other;
            }
        }
        if to.email.is_empty() {
            (to.email, to.verified_email) = (from.email, from.verified_email);
        }
        if to.phone.is_empty() {
            (to.phone, to.verified_phone) = (from.phone, from.verified_phone);
        }
        if user.totp_key.is_none() {
            user.totp_key = gone.totp_key;
            user.profile.totp = user.totp_key.is_some();
        }
        self.insert(user);
        Ok(())
    }

    /// Creates those of the tenants that do not exist yet. A tenant without a name gets the known name of the tenant; a
    /// name that is given replaces the known name.
    pub(crate) fn adopt_tenants(&mut self, tenants: &mut [UserTenant]) {
        for tenant in tenants {
            let known = self
                .tenants
                .entry(tenant.tenant_id.clone())
                .or_insert_with(|| TenantInfo {
                    id: tenant.tenant_id.clone(),
                    name: tenant.tenant_id.clone(),
                    ..TenantInfo::default()
                });
            if tenant.tenant_name.is_empty() {
                tenant.tenant_name.clone_from(&known.name);
            } else {
                known.name.clone_from(&tenant.tenant_name);
            }
        }
    }
}

// Profiles are personal data, and a user holds the secret of an authenticator app.
impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Directory")
            .field("users", &self.users.len())
            .field("tenants", &self.tenants.len())
            .finish_non_exhaustive()
    }
}

fn unite(to: &mut Vec<String>, from: Vec<String>) {
    for value in from {
        if !to.contains(&value) {
            to.push(value);
        }
    }
}

/// The users and tenants of a snapshot.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct SavedUsers {
    users: Vec<User>,
    tenants: Vec<TenantInfo>,
}

impl State {
    /// Creates or changes the user with this login id; what the closure does to id and creation time is undone.
    pub(crate) fn put_user(
        &mut self,
        login_id: &str,
        change: impl FnOnce(&mut UserProfile) -> Result<(), ApiError>,
    ) -> Result<UserProfile, ApiError> {
        if login_id.is_empty() {
            return Err(ApiError::missing("loginId"));
        }
        let now = self.now();
        let existing = self.directory.find(login_id).cloned();
        let is_new = existing.is_none();
        let before = match existing {
            Some(user) => user,
            None => {
                let id = self
                    .directory
                    .create(login_id, &SignUpUser::default(), now)?;
                self.directory.get(&id).cloned().unwrap_or_default()
            }
        };
        let mut after = before.clone();
        let changed = change(&mut after.profile).and_then(|()| {
            let taken = after
                .profile
                .login_ids
                .iter()
                .filter_map(|id| self.directory.id_of(id))
                .any(|owner| owner != before.profile.user_id);
            if taken {
                Err(ApiError::user_exists())
            } else {
                Ok(())
            }
        });
        if let Err(refused) = changed {
            if is_new {
                self.directory.remove(&before.profile.user_id);
            }
            return Err(refused);
        }
        if !after.has_login_id(login_id) {
            after.profile.login_ids.insert(0, login_id.to_owned());
        }
        after.profile.user_id.clone_from(&before.profile.user_id);
        after.profile.created_time = before.profile.created_time;
        after.profile.modified_time = now;
        // `totp` follows from whether the user has a key, so the closure cannot change it.
        after.profile.totp = after.totp_key.is_some();
        self.directory
            .adopt_tenants(&mut after.profile.user_tenants);
        self.directory.remove(&before.profile.user_id);
        let profile = after.profile.clone();
        self.directory.insert(after);
        Ok(profile)
    }

    pub(crate) fn users(&self) -> Vec<UserProfile> {
        self.directory.profiles()
    }

    pub(crate) fn save_users(&self) -> SavedUsers {
        SavedUsers {
            users: self.directory.users.values().cloned().collect(),
            tenants: self.directory.tenants.values().cloned().collect(),
        }
    }

    pub(crate) fn restore_users(&mut self, saved: SavedUsers) {
        for user in saved.users {
            self.directory.insert(user);
        }
        for tenant in saved.tenants {
            self.directory.tenants.insert(tenant.id.clone(), tenant);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::state;
    use super::*;

    fn tenant(id: &str, name: &str) -> UserTenant {
        UserTenant {
            tenant_id: id.to_owned(),
            tenant_name: name.to_owned(),
            ..UserTenant::default()
        }
    }

    #[test]
    fn put_creates_then_changes_and_keeps_the_id() {
        let mut state = state();
        let first = state
            .put_user("ann", |user| {
                user.name = "Ann".to_owned();
                user.user_tenants = vec![tenant("T1", "One")];
                Ok(())
            })
            .unwrap();
        let second = state
            .put_user("ann", |user| {
                user.user_id = "U-forged".to_owned();
                user.login_ids.push("ann2".to_owned());
                user.user_tenants = vec![tenant("T1", ""), tenant("T2", "")];
                Ok(())
            })
            .unwrap();
        assert_eq!(second.user_id, first.user_id);
        assert_eq!(second.name, "Ann");
        assert_eq!(second.user_tenants[0].tenant_name, "One");
        assert_eq!(second.user_tenants[1].tenant_name, "T2");
        assert_eq!(state.directory.id_of("ann2"), Some(first.user_id.as_str()));
    }

    #[test]
    fn a_refused_put_changes_nothing() {
        let mut state = state();
        state.put_user("ann", |_| Ok(())).unwrap();
        let taken = state.put_user("bob", |user| {
            user.login_ids.push("ann".to_owned());
            Ok(())
        });
        assert!(taken.is_err());
        assert!(state.directory.find("bob").is_none());
        assert_eq!(state.users().len(), 1);
    }

    #[test]
    fn merging_unites_login_ids_and_keeps_own_values() {
        let mut state = state();
        let kept = state
            .put_user("ann", |user| {
                user.email = "ann@example.com".to_owned();
                user.role_names = vec!["a".to_owned(), "b".to_owned()];
                Ok(())
            })
            .unwrap()
            .user_id;
        let gone = state
            .put_user("bob", |user| {
                user.email = "bob@example.com".to_owned();
                user.phone = "+1555".to_owned();
                user.role_names = vec!["b".to_owned(), "c".to_owned()];
                Ok(())
            })
            .unwrap()
            .user_id;
        state.directory.merge(&kept, &gone).unwrap();
        let user = state.directory.find("bob").unwrap();
        assert_eq!(user.profile.user_id, kept);
        assert_eq!(user.profile.login_ids, ["ann", "bob"]);
        assert_eq!(user.profile.email, "ann@example.com");
        assert_eq!(user.profile.phone, "+1555");
        assert_eq!(user.profile.role_names, ["a", "b", "c"]);
        assert!(state.directory.get(&gone).is_none());
    }
}
