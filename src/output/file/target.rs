//! One file that is written: bytes wait in a buffer and are appended in one piece.
//!
//! A write that fails in its middle is cut back to where it began, so that the next attempt leaves
//! neither half a line nor one twice.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// How files are opened and written.
pub(super) struct How {
    pub gzip: bool,
    pub overwrite: bool,
    pub fsync: bool,
    pub create_if_deleted: bool,
    pub dir_mode: Option<u32>,
    pub file_mode: Option<u32>,
}

/// An open file and what waits to be written to it.
pub(super) struct Target {
    path: PathBuf,
    file: Option<File>,
    pub buffer: Vec<u8>,
    /// Whether something was written to it since this was last asked.
    pub active: bool,
}

impl Target {
    pub fn new(path: PathBuf) -> Target {
        Target { path, file: None, buffer: Vec::new(), active: true }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends the buffer to the file and empties it. After an error the buffer is whole and the
    /// file as it was.
    pub fn write(&mut self, how: &How) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        if !self.file.as_ref().is_some_and(|file| is_at(file, &self.path)) {
            self.file = Some(open(&self.path, how)?);
        }
        let file = self.file.as_mut().expect("BUG: just opened");
        let packed;
        let bytes = match how.gzip {
            // Each burst is a member of its own: the file is whole after each.
            true => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
                encoder.write_all(&self.buffer)?;
                packed = encoder.finish()?;
                &packed
            }
            false => &self.buffer,
        };
        append(file, bytes, how.overwrite)?;
        if how.fsync {
            file.sync_data()?;
        }
        self.buffer.clear();
        self.active = true;
        Ok(())
    }

    /// Whether the path names a file now.
    pub fn exists(&self) -> bool {
        self.path.exists()
    }
}

fn append(file: &mut File, bytes: &[u8], overwrite: bool) -> io::Result<()> {
    let meta = file.metadata()?;
    let before = if overwrite { 0 } else { meta.len() };
    if overwrite && meta.is_file() {
        file.set_len(0)?;
    }
    let mut written = 0;
    while written < bytes.len() {
        match file.write(&bytes[written..]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => written += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => {
                // Only if nobody else has appended in between.
                if meta.is_file() && file.metadata().is_ok_and(|m| m.len() == before + written as u64) {
                    file.set_len(before)?;
                }
                return Err(e);
            }
        }
    }
    Ok(())
}

fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(file), Ok(path)) => (file.dev(), file.ino()) == (path.dev(), path.ino()),
        _ => false,
    }
}

fn open(path: &Path, how: &How) -> io::Result<File> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    if !folder.is_dir() {
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        if let Some(mode) = how.dir_mode {
            builder.mode(mode);
        }
        builder.create(folder)?;
    }
    let is_new = !path.exists();
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    if let Some(mode) = how.file_mode {
        options.mode(mode);
    }
    let file = options.open(path)?;
    if how.fsync && is_new {
        // A file is durable with its name only.
        File::open(folder)?.sync_all()?;
    }
    Ok(file)
}
