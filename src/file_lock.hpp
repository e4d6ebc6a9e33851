// Locks of whole files that belong to the open file and not to the process: the kernel drops one
// with the last descriptor of it.
#pragma once

namespace memolock {

/// Locks an open file exclusively, or fails; never waits. Returns 0, or the errno: EAGAIN or EACCES
/// when another open file holds the lock.
[[nodiscard]] int try_lock_file(int file);

/// The same, but sleeps until it is to be had.
[[nodiscard]] int lock_file(int file);

/// Keeps everybody from locking an open file, and is no lock in the eyes of is_file_locked; never
/// waits. For a moment only: whoever wants the lock tries again and again. Returns as
/// try_lock_file.
[[nodiscard]] int try_bar_file(int file);

/// Whether another open file holds the lock. Disturbs nobody.
[[nodiscard]] bool is_file_locked(int file);

}  // namespace memolock
