// The FIFOs of the local store: how those who wait for a run are woken, and the mailbox of a
// promise.
//
// Some file systems cannot hold FIFOs: vfat, and some of those that FUSE or a virtual machine
// provides. There the store has a regular file instead, which contains the name of the FIFO in
// /tmp/memolock-fifo-UID, so that every process that shares the store can find it. A process with a
// different /tmp does not find it, and sees no run, as on another machine.
#pragma once

#include <string>

#include "src/system/descriptor.hpp"

namespace memolock {

/// Makes the FIFO `name` in `folder`, and opens both ends: for writing alone it could not be opened
/// before it has a reader. `shown` is the folder for people. Throws Error(store).
[[nodiscard]] Descriptor make_fifo(int folder, const std::string& name, const std::string& shown);

/// As open_owned() (store/entry_file.hpp), of a FIFO, which is opened and used without blocking.
/// For writing it opens only while somebody reads it.
[[nodiscard]] Descriptor open_fifo(int folder, const std::string& name, int flags) noexcept;

/// As is_same_file() of a FIFO.
[[nodiscard]] bool is_fifo_named(int folder, const std::string& name, int fifo) noexcept;

/// As remove_if_same() of a FIFO.
void remove_named_fifo(int folder, const std::string& name, int fifo) noexcept;

/// Unlinks the FIFO `name`, which a dead holder has left.
void remove_fifo(int folder, const std::string& name) noexcept;

/// Where they are that a file system cannot have.
[[nodiscard]] std::string fifo_directory();

/// Removes FIFOs in /tmp whose holder has died.
void remove_stale_fifos() noexcept;

}  // namespace memolock
