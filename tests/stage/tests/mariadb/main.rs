//! Backups of MariaDB, with the strategy as the real component.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod abort;
mod backup;
mod check;
mod crashes;
mod forget;
mod kept;
mod restore;
mod scene;
mod settings;
mod volumes;
mod waiting;

const TENANT: &str = "tenant-acme";
const API: &str = "backups.cozystack.io/v1alpha1";
const OPERATOR: &str = "k8s.mariadb.com/v1alpha1";
/// Where the platform puts what is of the application `orders`.
const FOLDER: &str = "tenant-acme/orders/";
/// Of the user of each application.
const PASSWORD: &str = "correct-horse-battery";
