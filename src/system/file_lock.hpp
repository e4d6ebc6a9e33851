// Locks of files that belong to the open file and not to the process: the kernel drops one with the
// last descriptor of it.
//
// A file has one owner at a time, who holds its lock or bars it. A file that is locked by its name
// is unlinked by its owner only, so that between the owner's look at the name and its unlinking
// nobody can take the name or free it. The lock is a write lock on bytes 0 and 1 of the file, a bar
// one on byte 1; files are open for writing.
#pragma once

namespace memolock {

/// Locks an open file, or fails; never waits. Returns 0, or the errno: EAGAIN or EACCES when
/// another open file holds the lock or bars it.
[[nodiscard]] int try_lock_file(int file);

/// The same, but sleeps until it is to be had.
[[nodiscard]] int lock_file(int file);

/// Keeps everybody from locking or barring an open file, and is no lock in the eyes of
/// is_file_locked; never waits. For a moment only: whoever wants the lock tries again. Returns as
/// try_lock_file.
[[nodiscard]] int try_share_file(int file);

/// Whether another open file holds the lock. Disturbs nobody.
[[nodiscard]] bool is_file_locked(int file);

}  // namespace memolock
