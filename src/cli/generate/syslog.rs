//! RFC 3164 lines of a small fleet of servers.

use super::Line;
use super::text::{hex, ip, number, put};

const HOSTS: [(u32, &str); 5] = [(4, "web-01"), (4, "web-02"), (3, "db-01"), (2, "bastion"), (1, "mail.example.com")];

type Kind = (u8, &'static str, bool, &'static str);

/// Priority (facility * 8 + severity), program, whether it has a process id, text. `{n}` is a
/// number, `{p}` a port, `{h}` a hex id, `{a}` an address, `{u}` a user.
#[rustfmt::skip]
static KINDS: &[(u32, Kind)] = &[
    (14, (38, "sshd", true, "Accepted publickey for {u} from {a} port {p} ssh2: RSA SHA256:{h}")),
    (10, (38, "sshd", true, "Failed password for invalid user {u} from {a} port {p} ssh2")),
    (8, (38, "sshd", true, "Failed password for root from {a} port {p} ssh2")),
    (6, (38, "sshd", true, "Received disconnect from {a} port {p}:11: disconnected by user")),
    (4, (38, "sshd", true, "Invalid user {u} from {a} port {p}")),
    (10, (86, "sshd", true, "pam_unix(sshd:session): session opened for user {u}(uid={n}) by (uid=0)")),
    (3, (35, "sshd", true, "error: maximum authentication attempts exceeded for root from {a} port {p} ssh2 [preauth]")),
    (16, (78, "CRON", true, "(root) CMD (   cd / && run-parts --report /etc/cron.hourly)")),
    (6, (86, "CRON", true, "pam_unix(cron:session): session closed for user root")),
    (6, (85, "sudo", false, "  {u} : TTY=pts/0 ; PWD=/home/{u} ; USER=root ; COMMAND=/usr/bin/systemctl restart nginx")),
    (5, (6, "kernel", false, "[{n}.{n}] eth0: Link is Up - 10Gbps/Full - flow control rx/tx")),
    (4, (4, "kernel", false, "[{n}.{n}] TCP: request_sock_TCP: Possible SYN flooding on port 443. Sending cookies.")),
    (2, (3, "kernel", false, "[{n}.{n}] Out of memory: Killed process {n} (node) total-vm:{n}kB, anon-rss:{n}kB")),
    (2, (2, "kernel", false, "[{n}.{n}] EXT4-fs error (device sda1): ext4_find_entry:1455: inode #{n}: comm nginx: reading directory lblock 0")),
    (12, (30, "systemd", true, "Started Session {n} of user {u}.")),
    (4, (27, "systemd", true, "nginx.service: Main process exited, code=exited, status=1/FAILURE")),
    (5, (29, "systemd", true, "safevideo-worker.service: Scheduled restart job, restart counter is at {n}.")),
    (5, (22, "postfix/smtpd", true, "connect from unknown[{a}]")),
    (3, (31, "dhclient", true, "DHCPREQUEST for {a} on eth0 to 255.255.255.255 port 67")),
];

const USERS: [&str; 8] = ["admin", "deploy", "tanaka", "suzuki", "oracle", "test", "ubuntu", "git"];

pub(super) fn write(line: &mut Line, out: &mut Vec<u8>) {
    line.calendar.at(line.at_ms);
    let (priority, program, has_pid, text) = line.random.weighted(KINDS);
    out.push(b'<');
    number(out, priority as u64);
    out.push(b'>');
    put(out, line.calendar.month_name());
    out.push(b' ');
    // RFC 3164 pads the day with a space.
    if line.calendar.day < 10 {
        out.push(b' ');
    }
    number(out, line.calendar.day);
    out.push(b' ');
    out.extend_from_slice(&line.calendar.time);
    out.push(b' ');
    put(out, line.random.weighted(&HOSTS));
    out.push(b' ');
    put(out, program);
    if has_pid {
        out.push(b'[');
        number(out, line.random.between(300, 65_000));
        out.push(b']');
    }
    put(out, ": ");
    let user = line.random.pick(&USERS);
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        put(out, before);
        match after.as_bytes()[0] {
            b'n' => number(out, line.random.popular(90_000)),
            b'p' => number(out, line.random.between(1_024, 65_535)),
            b'h' => hex(out, line.random.next()),
            b'a' => ip(out, line.random),
            _ => put(out, user),
        }
        rest = &after[2..];
    }
    put(out, rest);
    out.push(b'\n');
}
