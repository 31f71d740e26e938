//! The seam between the index and the file system, so that tests can lose what was not synced.
//!
//! All names are plain file names within one folder. Whoever writes through here orders his own
//! syncs: a file's bytes are durable after [`DiskFile::sync`], its name after [`Disk::sync_names`].

use std::fmt::Debug;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tantivy::directory::OwnedBytes;

/// A folder.
pub(super) trait Disk: Debug + Send + Sync + 'static {
    /// Makes a file; it must not exist.
    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;
    /// Opens a file to append to it.
    fn append(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;
    /// Cuts a file; the new length is durable on return.
    fn truncate(&self, name: &str, len: u64) -> io::Result<()>;
    /// The bytes of a file that is not written any more.
    fn map(&self, name: &str) -> io::Result<OwnedBytes>;
    /// Gives a file another name, atomically.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a name; who has the file open or mapped keeps it.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// All names.
    fn list(&self) -> io::Result<Vec<String>>;
    /// Makes names durable.
    fn sync_names(&self) -> io::Result<()>;
    /// How many syncs were done so far.
    fn syncs(&self) -> u64;
}

/// A file being written.
pub(super) trait DiskFile: Write + Send + Sync {
    /// Makes what was written durable.
    fn sync(&mut self) -> io::Result<()>;
}

/// A real folder.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    syncs: Arc<AtomicU64>,
}

impl Folder {
    pub(super) fn new(path: PathBuf) -> Folder {
        Folder { path, syncs: Arc::default() }
    }
}

impl Disk for Folder {
    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let file = OpenOptions::new().write(true).create_new(true).open(self.path.join(name))?;
        Ok(Box::new(RealFile { file, syncs: self.syncs.clone() }))
    }

    fn append(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let file = OpenOptions::new().append(true).open(self.path.join(name))?;
        Ok(Box::new(RealFile { file, syncs: self.syncs.clone() }))
    }

    fn truncate(&self, name: &str, len: u64) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(self.path.join(name))?;
        file.set_len(len)?;
        file.sync_all()
    }

    fn map(&self, name: &str) -> io::Result<OwnedBytes> {
        let file = File::open(self.path.join(name))?;
        if file.metadata()?.len() == 0 {
            return Ok(OwnedBytes::empty());
        }
        // SAFETY: the folder is locked by this process, and it never changes a file after the
        // first time it maps it: packs are written once, then only unlinked.
        let map = unsafe { memmap2::Mmap::map(&file)? };
        Ok(OwnedBytes::new(Mapped(map)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.path.join(name))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.path)? {
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn sync_names(&self) -> io::Result<()> {
        self.syncs.fetch_add(1, Ordering::Relaxed);
        File::open(&self.path)?.sync_all()
    }

    fn syncs(&self) -> u64 {
        self.syncs.load(Ordering::Relaxed)
    }
}

struct RealFile {
    file: File,
    syncs: Arc<AtomicU64>,
}

impl Write for RealFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl DiskFile for RealFile {
    fn sync(&mut self) -> io::Result<()> {
        self.syncs.fetch_add(1, Ordering::Relaxed);
        self.file.sync_data()
    }
}

struct Mapped(memmap2::Mmap);

impl std::ops::Deref for Mapped {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

// SAFETY: the bytes of a map don't move when the handle does.
unsafe impl stable_deref_trait::StableDeref for Mapped {}

#[cfg(test)]
pub(super) mod losing {
    //! A disk that forgets what was not synced, and that stops working after some syncs.

    use super::*;
    use parking_lot::Mutex;
    use std::collections::BTreeMap;

    #[derive(Clone, Default, Debug)]
    struct Inode {
        bytes: Vec<u8>,
        synced: Vec<u8>,
    }

    #[derive(Default, Debug)]
    struct State {
        inodes: Vec<Inode>,
        names: BTreeMap<String, usize>,
        durable_names: BTreeMap<String, usize>,
        syncs: u64,
        /// Works until this many syncs were done; the next operation fails.
        syncs_max: Option<u64>,
        /// Fails every write while set, as a full disk does.
        full: bool,
    }

    /// See the module.
    #[derive(Clone, Default, Debug)]
    pub(in crate::index) struct LosingDisk(Arc<Mutex<State>>);

    struct LosingFile {
        disk: LosingDisk,
        inode: usize,
    }

    impl LosingDisk {
        /// The disk stops after `syncs` further syncs.
        pub fn stop_after(&self, syncs: u64) {
            let mut state = self.0.lock();
            state.syncs_max = Some(state.syncs + syncs);
        }

        pub fn set_full(&self, full: bool) {
            self.0.lock().full = full;
        }

        /// What a machine finds after the power came back. `keep` in 0..=1 is how much of the
        /// bytes that were not synced made it to the disk anyway.
        pub fn after_crash(&self, keep: f64, keep_names: bool) -> LosingDisk {
            let state = self.0.lock();
            let names = if keep_names { state.names.clone() } else { state.durable_names.clone() };
            let mut inodes = state.inodes.clone();
            for inode in &mut inodes {
                let extra = inode.bytes.len().saturating_sub(inode.synced.len());
                let len = inode.synced.len() + (extra as f64 * keep) as usize;
                inode.bytes.truncate(len);
                inode.synced = inode.bytes.clone();
            }
            LosingDisk(Arc::new(Mutex::new(State { inodes, durable_names: names.clone(), names, ..State::default() })))
        }

        fn check(state: &State) -> io::Result<()> {
            match state.syncs_max {
                Some(max) if state.syncs >= max => Err(io::Error::other("the machine stopped")),
                _ => Ok(()),
            }
        }

        fn inode(state: &State, name: &str) -> io::Result<usize> {
            state.names.get(name).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
        }
    }

    impl Disk for LosingDisk {
        fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
            let mut state = self.0.lock();
            Self::check(&state)?;
            if state.names.contains_key(name) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            state.inodes.push(Inode::default());
            let inode = state.inodes.len() - 1;
            state.names.insert(name.to_owned(), inode);
            Ok(Box::new(LosingFile { disk: self.clone(), inode }))
        }

        fn append(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
            let state = self.0.lock();
            let inode = Self::inode(&state, name)?;
            Ok(Box::new(LosingFile { disk: self.clone(), inode }))
        }

        fn truncate(&self, name: &str, len: u64) -> io::Result<()> {
            let mut state = self.0.lock();
            Self::check(&state)?;
            let inode = Self::inode(&state, name)?;
            let inode = &mut state.inodes[inode];
            inode.bytes.truncate(len as usize);
            inode.synced = inode.bytes.clone();
            Ok(())
        }

        fn map(&self, name: &str) -> io::Result<OwnedBytes> {
            let state = self.0.lock();
            Ok(OwnedBytes::new(state.inodes[Self::inode(&state, name)?].bytes.clone()))
        }

        fn rename(&self, from: &str, to: &str) -> io::Result<()> {
            let mut state = self.0.lock();
            Self::check(&state)?;
            let inode = Self::inode(&state, from)?;
            state.names.remove(from);
            state.names.insert(to.to_owned(), inode);
            Ok(())
        }

        fn remove(&self, name: &str) -> io::Result<()> {
            let mut state = self.0.lock();
            Self::check(&state)?;
            state.names.remove(name).map(|_| ()).ok_or_else(|| io::ErrorKind::NotFound.into())
        }

        fn list(&self) -> io::Result<Vec<String>> {
            Ok(self.0.lock().names.keys().cloned().collect())
        }

        fn sync_names(&self) -> io::Result<()> {
            let mut state = self.0.lock();
            Self::check(&state)?;
            state.durable_names = state.names.clone();
            state.syncs += 1;
            Ok(())
        }

        fn syncs(&self) -> u64 {
            self.0.lock().syncs
        }
    }

    impl Write for LosingFile {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut state = self.disk.0.lock();
            LosingDisk::check(&state)?;
            if state.full {
                return Err(io::ErrorKind::StorageFull.into());
            }
            state.inodes[self.inode].bytes.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl DiskFile for LosingFile {
        fn sync(&mut self) -> io::Result<()> {
            let mut state = self.disk.0.lock();
            LosingDisk::check(&state)?;
            let inode = &mut state.inodes[self.inode];
            inode.synced = inode.bytes.clone();
            state.syncs += 1;
            Ok(())
        }
    }
}
