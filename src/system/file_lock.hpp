// Locks of open files (fcntl's open file description locks): the kernel drops one with the last
// descriptor of the open file, not with the process.
//
// A file has one owner at a time, which has either locked or reserved it. Only its owner unlinks a
// file that is locked by name, so nobody can lock the name or free it between the owner's check of
// the name and its unlink. The lock is a write lock on bytes 0 and 1 of the file, a reservation one
// on byte 1; the file must be open for writing.
#pragma once

namespace memolock {

/// Locks an open file; never blocks. Returns 0, or the errno: EAGAIN or EACCES if another open file
/// has locked or reserved it.
[[nodiscard]] int try_lock_file(int file);

/// The same, but blocks until the file can be locked.
[[nodiscard]] int lock_file(int file);

/// Keeps others from locking or reserving an open file, without is_file_locked reporting a lock;
/// never blocks. Meant to be held for a moment, since others poll for the lock. Returns the same as
/// try_lock_file.
[[nodiscard]] int try_reserve_file(int file);

/// Whether another open file holds the lock. Has no effect on others.
[[nodiscard]] bool is_file_locked(int file);

}  // namespace memolock
