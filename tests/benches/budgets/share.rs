//! The share of a core that Lambda gives a function after its start, by its memory: a whole core at 1,769 MB.
//!
//! Lambda's own periods are not documented. The kernel grants at least a millisecond at a time, which is granted here
//! once per period: with this finest grain a short piece of work is least able to slip through.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// The memory with which a function has one core.
const MB_OF_A_CORE: f64 = 1769.0;

/// The least time that the kernel grants, in microseconds.
const GRANT: u32 = 1000;

/// A control group with a limit of CPU time. Ends with this value, after the processes in it.
pub(crate) struct Share(PathBuf);

impl Share {
    /// The reason why there may be none.
    pub(crate) const NEEDS: &str = "a control group has to be made, which takes Linux and the rights to";

    /// The share of a function with this much memory, if a group can be made: with the rights, on Linux.
    pub(crate) fn of_memory(mb: u32) -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("budgets-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some thousand microseconds")]
        let period = (f64::from(GRANT) * MB_OF_A_CORE / f64::from(mb)).round() as u32;
        let settings = [
            (
                "/sys/fs/cgroup/cpu",
                vec![("cpu.cfs_period_us", period.to_string()), ("cpu.cfs_quota_us", GRANT.to_string())],
            ),
            ("/sys/fs/cgroup", vec![("cpu.max", format!("{GRANT} {period}"))]),
        ];
        settings.iter().find_map(|(parent, files)| {
            let group = Self(Path::new(parent).join(&name));
            fs::create_dir(&group.0).ok()?;
            files
                .iter()
                .try_for_each(|(file, value)| {
                    // Not created: if the file is missing, this is not a group.
                    fs::OpenOptions::new()
                        .write(true)
                        .open(group.0.join(file))
                        .and_then(|mut file| std::io::Write::write_all(&mut file, value.as_bytes()))
                })
                .ok()?;
            Some(group)
        })
    }

    /// Puts a process under the limit, with all its threads.
    pub(crate) fn hold(&self, process: u32) {
        fs::write(self.0.join("cgroup.procs"), process.to_string()).expect("the group takes processes");
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        // Best effort: an empty group costs nothing.
        drop(fs::remove_dir(&self.0));
    }
}
