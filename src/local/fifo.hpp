// The FIFOs of the local store: one kind wakes the callers that wait for a run, the other is the
// mailbox of a promise.
//
// Some file systems do not support FIFOs: vfat, and some that FUSE or a virtual machine provides.
// There, the store has a regular file instead, which contains the name of a substitute FIFO in
// /tmp/memolock-fifo-UID, so that every process that shares the store can find it. A process with a
// different /tmp does not find it, and sees no run, like a process on another machine.
//
// The functions below hide that difference. `directory` is the open directory of a tag and `name` a
// name in it. Any thread may call them.
#pragma once

#include <string>

#include "src/system/descriptor.hpp"

namespace memolock {

/// Creates the FIFO `name` and opens it for reading and writing: a FIFO cannot be opened only for
/// writing while it has no reader. `path` is the directory's path, for messages. Throws
/// Error(store).
[[nodiscard]] Descriptor make_fifo(int directory, const std::string& name, const std::string& path);

/// Opens a FIFO of this user. `flags`: as for open(2); O_NONBLOCK is added. Empty, with errno set,
/// on failure: ENXIO if it is to be opened for writing and has no reader, EPERM or ELOOP if the
/// name is not a FIFO of this user.
[[nodiscard]] Descriptor open_fifo(int directory, const std::string& name, int flags) noexcept;

/// Whether `name` is the FIFO that is open as `fifo`.
[[nodiscard]] bool is_same_fifo(int directory, const std::string& name, int fifo) noexcept;

/// Removes `name` if it is the FIFO that is open as `fifo`. Requires the run lock, which prevents
/// others from creating or removing the name.
void remove_if_same_fifo(int directory, const std::string& name, int fifo) noexcept;

/// Removes the FIFO `name`, whose holder has died. Requires the run lock.
void remove_fifo(int directory, const std::string& name) noexcept;

/// The directory of substitute FIFOs.
[[nodiscard]] std::string fifo_directory();

/// Removes the substitute FIFOs whose holders have died.
void remove_stale_fifos() noexcept;

}  // namespace memolock
