// Locks on open files (fcntl's open file description locks). The kernel drops a lock when the last
// descriptor of the open file is closed, not when a process ends.
//
// A file has at most one owner at a time, which has either locked or reserved it. If a name refers
// to a lock file, only the owner of the file unlinks the name, so the name cannot change between
// the owner's check and its unlink. The lock is a write lock on bytes 0 and 1 of the file, a
// reservation a write lock on byte 1. The file must be open for writing.
#pragma once

namespace memolock {

/// Locks an open file; never blocks. Returns 0 or the errno: EAGAIN or EACCES if it is locked or
/// reserved through another open file description.
[[nodiscard]] int try_lock_file(int file);

/// The same, but blocks until the file can be locked.
[[nodiscard]] int lock_file(int file);

/// Prevents others from locking or reserving an open file, but is_file_locked() does not report it;
/// never blocks. To be held only briefly, because others poll for the lock. Returns the same as
/// try_lock_file().
[[nodiscard]] int try_reserve_file(int file);

/// Whether the file is locked through another open file description. Does not affect others.
[[nodiscard]] bool is_file_locked(int file);

}  // namespace memolock
