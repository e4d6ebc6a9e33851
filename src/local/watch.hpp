// A run in progress in the local store, seen by those who wait for it.
//
// Its FIFO hangs up when it ends. A byte in it says that somebody has stored an entry meanwhile:
// each waiter looks once. Whoever takes it out to see whether there is a writer puts it back.
#pragma once

#include <functional>
#include <memory>

#include "src/entry/key.hpp"
#include "src/store/entry_file.hpp"
#include "src/store/file_names.hpp"
#include "src/store/store.hpp"

namespace memolock {

/// A run in progress, open.
struct LiveRun {
  Descriptor wake;  ///< the FIFO
  OwnedFile file;

  explicit operator bool() const { return static_cast<bool>(file); }
};

/// Opens the run in progress of the entry whose files these are, below the store's folder `root`,
/// its file with `flags`. Empty when nobody is at work on it. Disturbs nobody.
[[nodiscard]] LiveRun open_run(int root, const EntryFileNames& files, int flags);

/// A watch on the run of `key` in progress; `look_up` is the store's. Null when nobody is at work
/// on it. A FIFO that has hung up goes into `ended`, from one watch to the next: whoever closes it
/// makes the kernel walk through all who have not yet left their poll, at the cost of the one who
/// takes over.
[[nodiscard]] std::unique_ptr<Watch> watch_run(int root, const Key& key, Descriptor& ended,
                                               std::function<std::unique_ptr<Entry>()> look_up);

/// Tells those who wait for the run in progress, if there is one, that an entry has been stored.
void announce_entry(int folder, const EntryFileNames& files);

}  // namespace memolock
