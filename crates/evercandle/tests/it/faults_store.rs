//! Disks and folders that fail (F21, F23, F26 to F29), as a client's caller sees it: the answer comes all the same.
//!
//! What a single operation, a single byte or a single process can do wrong is with the store's own tests.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use evercandle::{Client, Market, Request, Via};

use crate::support::{Counters, Upstreams, World, range, series};

/// A mount that is taken down again; `None`, said in one line, where mounting is not permitted.
struct Mount(PathBuf);

impl Mount {
    #[allow(clippy::print_stdout, reason = "a test that could not run must say so")]
    fn new(at: &Path, arguments: &[&str]) -> Option<Mount> {
        let done = Command::new("mount").args(arguments).arg(at).output();
        match done {
            Ok(output) if output.status.success() => Some(Mount(at.to_owned())),
            _ => {
                println!("skipped: mounting is not permitted here");
                None
            }
        }
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn days(count: u32) -> Request {
    let end = format!("2024-05-{:02}", 1 + count);
    Request::new(series("BTCUSDT", "1m", Market::Spot), range("2024-05-01", &end))
}

/// Asks for something that is not held; the answer is whole, and the cache says why it is not written.
async fn served_but_not_stored(world: &World, client: &Client, why: &str) {
    let answer = client.get_data(days(3)).await.unwrap();
    world.check(&answer, Upstreams::TellTheTruth);
    assert_eq!((answer.len(), answer.gaps.len()), (3 * 1_440, 0));
    assert!(
        answer.notices.iter().any(|n| n.contains("cache not written")),
        "{:?}",
        answer.notices
    );
    let said = client.health().cache_readonly.expect("it is not written");
    assert!(said.contains(why), "{said}");
}

/// Writing is tried again after a pause, and from then on all is as before.
async fn heals(world: &World, client: &Client) {
    world.pass(Duration::from_secs(700));
    let answer = client.get_data(days(3)).await.unwrap();
    world.check(&answer, Upstreams::TellTheTruth);
    assert_eq!((client.health().cache_readonly, answer.notices.len()), (None, 0));
    world.forget_requests();
    let again = client.get_data(days(3)).await.unwrap();
    assert_eq!((again.len(), world.requests("")), (3 * 1_440, 0));
    assert!(again.segments.iter().all(|s| s.via == Via::Cache));
}

/// Goal: a full disk costs no answer, is said, and is noticed to have room again.
#[tokio::test]
async fn f21_a_full_disk_costs_no_answer_is_said_and_heals_when_there_is_room() {
    let world = World::new().await;
    let cache = world.config.cache.dir.clone().unwrap();
    fs::create_dir(&cache).unwrap();
    let Some(_mount) = Mount::new(&cache, &["-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs"]) else {
        return;
    };
    let client = world.client();
    fs::write(cache.join("ballast"), vec![1; 1 << 20]).unwrap_err();
    served_but_not_stored(&world, &client, "bytes free").await;
    fs::remove_file(cache.join("ballast")).unwrap();
    heals(&world, &client).await;
}

/// Goal: as F21, for a disk without inodes, one that is read-only, and a folder that is not ours to write to.
#[tokio::test]
async fn f23_a_disk_that_refuses_for_another_reason_costs_no_answer_either() {
    let world = World::new().await;
    let cache = world.config.cache.dir.clone().unwrap();
    fs::create_dir(&cache).unwrap();
    let options = "size=8m,mode=700,nr_inodes=24";
    let Some(mount) = Mount::new(&cache, &["-t", "tmpfs", "-o", options, "tmpfs"]) else {
        return;
    };
    let client = world.client();
    let mut ballast: Vec<PathBuf> = (0..100).map(|n| cache.join(format!("ballast-{n}"))).collect();
    ballast.retain(|file| fs::write(file, "").is_ok());
    served_but_not_stored(&world, &client, "No space left").await;
    ballast.iter().for_each(|file| fs::remove_file(file).unwrap());
    heals(&world, &client).await;
    drop((client, mount));

    let world = World::new().await;
    let cache = world.config.cache.dir.clone().unwrap();
    drop(world.client());
    let text = cache.to_str().unwrap();
    let mount = Mount::new(&cache, &["--bind", "-o", "ro", text]);
    let client = world.client();
    served_but_not_stored(&world, &client, "Read-only file system").await;
    drop(mount);
    heals(&world, &client).await;
}

/// Every stored file of klines below a folder.
fn chunks(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(chunks(&path)),
            false => found.extend(path.extension().is_some_and(|e| e == "arrow").then_some(path)),
        }
    }
    found
}

/// Puts other bytes where a file was, as a faulty disk would.
fn put(path: &Path, bytes: &[u8]) {
    fs::remove_file(path).unwrap();
    fs::write(path, bytes).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o444)).unwrap();
}

/// Goal: a bit that flipped on disk is noticed before it is served, set aside, counted, said, and fetched again.
/// Method: one flip in each of sixteen places over a stored file, each read by another process.
#[tokio::test]
async fn f26_a_flipped_bit_is_set_aside_and_fetched_again() {
    let counters = Counters::new();
    let world = World::new().await;
    let request = days(1);
    let whole = world.client().get_data(request.clone()).await.unwrap();
    let cache = world.config.cache.dir.clone().unwrap();
    let mut damaged = 0;
    for place in 0..16 {
        let stored = chunks(&cache.join("v1"));
        let mut at = 0;
        for file in &stored {
            let mut bytes = fs::read(file).unwrap();
            at = place * (bytes.len() - 1) / 15;
            bytes[at] ^= 1 << (place % 8);
            put(file, &bytes);
        }
        damaged += stored.len();
        world.forget_requests();
        let client = world.client();
        let answer = client.get_data(request.clone()).await.unwrap();
        world.check(&answer, Upstreams::TellTheTruth);
        assert_eq!(answer.len(), whole.len(), "byte {at}");
        assert!(answer.segments.iter().all(|s| s.via == Via::Upstream), "byte {at}");
        assert!(world.requests("") > 0);
        assert!(
            answer.notices.iter().any(|n| n.contains("set aside")),
            "{:?}",
            answer.notices
        );
        assert_eq!(client.store().stats().unwrap().quarantined_files, damaged);
    }
    let counted = counters.look();
    let corrupt: f64 = counted
        .iter()
        .filter(|(k, _)| k.starts_with("qt_cache_corruption_total"))
        .map(|(_, n)| n)
        .sum();
    assert_eq!(corrupt, damaged as f64);
}

/// Goal: what others do to the files does not reach the rows that were handed out. Method: rename over them and remove
/// them while mapped; truncate them where the cache was told that others may.
#[tokio::test]
async fn f27_rows_in_hand_survive_what_others_do_to_the_files() {
    for strict in [false, true] {
        let mut world = World::new().await;
        world.config.cache.strict = strict;
        let month = Request::new(series("BTCUSDT", "1m", Market::Spot), range("2024-04-01", "2024-05-01"));
        world.client().get_data(month.clone()).await.unwrap();
        let client = world.client();
        let held = client.get_data(month.clone()).await.unwrap();
        assert!(held.segments.iter().all(|s| s.via == Via::Cache));
        let stored = chunks(&world.config.cache.dir.clone().unwrap().join("v1"));
        for (n, file) in stored.iter().enumerate() {
            if strict {
                // Past the reader's copy; a map would fault here.
                fs::set_permissions(file, fs::Permissions::from_mode(0o644)).unwrap();
                fs::OpenOptions::new()
                    .write(true)
                    .open(file)
                    .unwrap()
                    .set_len(100)
                    .unwrap();
            } else if n % 2 == 0 {
                let other = file.with_extension("other");
                fs::write(&other, "something else").unwrap();
                fs::rename(&other, file).unwrap();
            } else {
                fs::remove_file(file).unwrap();
            }
        }
        world.check(&held, Upstreams::TellTheTruth);
        assert_eq!(held.len(), 30 * 1_440);
        // And whoever comes next is served the truth, from elsewhere.
        let next = world.client().get_data(month).await.unwrap();
        world.check(&next, Upstreams::TellTheTruth);
        assert!(next.gaps.is_empty());
    }
}
