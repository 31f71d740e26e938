//! Who this node is: an id that stays over restarts, in `path.data/uuid` as Logstash keeps it,
//! and one that lasts as long as the process.

use crate::durable;
use std::path::Path;

/// The name of this machine.
pub fn hostname() -> String {
    let mut name = [0_u8; 256];
    // SAFETY: the pointer and the length describe `name`, which outlives the call.
    let failed = unsafe { libc::gethostname(name.as_mut_ptr().cast(), name.len()) } != 0;
    let end = name.iter().position(|&b| b == 0).unwrap_or(name.len());
    if failed || end == 0 { "localhost".to_owned() } else { String::from_utf8_lossy(&name[..end]).into_owned() }
}

/// A random UUID (version 4).
pub fn new_id() -> String {
    let n = rand::random::<u128>() & !(0xf << 76) & !(0xc << 60) | (4 << 76) | (8 << 60);
    let hex = format!("{n:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// The id of the node whose data lies there; a new one if it has none yet.
pub fn node_id(data: &Path) -> std::io::Result<String> {
    let path = data.join("uuid");
    match std::fs::read_to_string(&path) {
        Ok(id) if looks_like_one(id.trim()) => return Ok(id.trim().to_owned()),
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let id = new_id();
    durable::replace(&path, id.as_bytes())?;
    Ok(id)
}

fn looks_like_one(id: &str) -> bool {
    id.len() == 36 && id.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stays() {
        let data = tempfile::tempdir().unwrap();
        let id = node_id(data.path()).unwrap();
        assert!(looks_like_one(&id) && id.as_bytes()[14] == b'4' && b"89ab".contains(&id.as_bytes()[19]), "{id}");
        assert_eq!(node_id(data.path()).unwrap(), id);
        std::fs::write(data.path().join("uuid"), "torn").unwrap();
        assert_ne!(node_id(data.path()).unwrap(), id);
    }
}
