// A run in progress in the local store, as the callers that wait for it see it.
//
// The FIFO of the run hangs up when the run ends. A byte in it means that another process has
// stored an entry meanwhile: each waiter then looks it up once. A waiter that reads the byte to
// find out whether there is a writer writes it back.
#pragma once

#include <functional>
#include <memory>

#include "src/entry/key.hpp"
#include "src/store/entry_file.hpp"
#include "src/store/file_names.hpp"
#include "src/store/store.hpp"

namespace memolock {

/// The open files of a run in progress.
struct LiveRun {
  Descriptor wake_fifo;
  OwnedFile file;

  explicit operator bool() const { return static_cast<bool>(file); }
};

/// Opens the run in progress of the entry with these files, below the store's directory `root`.
/// `flags`: as for open(2), for the file of the run. Empty if there is no run. Does not affect the
/// run.
[[nodiscard]] LiveRun open_run(int root, const EntryFileNames& files, int flags);

/// A watch on the run of `key` in progress, already subscribed; null if there is none. `look_up` is
/// the store's. When the run has ended, the watch moves its FIFO to `last_wake_fifo`, which must
/// outlive the watch and which keeps it open until the next run has ended: if it were closed
/// immediately, the kernel would walk the list of all waiters that are still in poll(2), which
/// would delay the next holder.
[[nodiscard]] std::unique_ptr<Watch> watch_run(int root, const Key& key, Descriptor& last_wake_fifo,
                                               std::function<std::unique_ptr<Entry>()> look_up);

/// Notifies the waiters of the run in progress, if there is one, that an entry has been stored.
/// `directory` is the directory of the entry's tag.
void announce_entry(int directory, const EntryFileNames& files);

}  // namespace memolock
