//! Zip archives with whatever entries a test wants.

/// An archive of stored entries.
pub(crate) fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let entries = entries.iter().map(|&(name, bytes)| Entry {
        name,
        method: 0,
        bytes,
        length: bytes.len() as u32,
    });
    archive_of(&entries.collect::<Vec<_>>())
}

/// An entry that says of itself what it likes.
pub(crate) struct Entry<'a> {
    pub(crate) name: &'a str,
    /// 0 for stored bytes, 8 for deflated ones.
    pub(crate) method: u16,
    pub(crate) bytes: &'a [u8],
    /// How long it says it is when unpacked.
    pub(crate) length: u32,
}

pub(crate) fn archive_of(entries: &[Entry<'_>]) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for entry in entries {
        let begin = bytes.len() as u32;
        // Needed version, flags, method, time, date.
        let mut common = Vec::new();
        for number in [20, 0, entry.method, 0, 33] {
            common.extend(u16::to_le_bytes(number));
        }
        for number in [0, entry.bytes.len() as u32, entry.length] {
            common.extend(u32::to_le_bytes(number));
        }
        common.extend((entry.name.len() as u16).to_le_bytes());
        common.extend(0_u16.to_le_bytes());
        bytes.extend(b"PK\x03\x04");
        bytes.extend(&common);
        bytes.extend(entry.name.bytes());
        bytes.extend(entry.bytes);
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(&common);
        directory.extend([0; 10]);
        directory.extend(begin.to_le_bytes());
        directory.extend(entry.name.bytes());
    }
    let start = bytes.len() as u32;
    let count = (entries.len() as u16).to_le_bytes();
    bytes.extend(&directory);
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    bytes.extend([count, count].concat());
    bytes.extend((directory.len() as u32).to_le_bytes());
    bytes.extend(start.to_le_bytes());
    bytes.extend([0, 0]);
    bytes
}
