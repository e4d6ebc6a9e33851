// Keeping a local store small, while others work in it.
//
// What goes: entries and failures that nobody can be given any more, damaged ones, what dead
// processes have left, and then the least recently used entries, until the rest is small enough.
// Foreign files stay. Who has a file open reads it to its end.
//
// An entry is removed while its run lock is barred (system/file_lock.hpp), so that nobody can
// replace it in the moment between the last look at it and its removal; nor is anything removed
// whose lock is held. Who wants the lock in that moment tries again: a bar is not a holder, also
// not to --wait 0.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "src/stats/counters.hpp"
#include "src/system/descriptor.hpp"

namespace memolock {

/// The right to sweep a store: one process at a time has it.
class GcTurn {
 public:
  /// Waits for it. `root`: the store's directory. Throws Error(store).
  [[nodiscard]] static GcTurn wait_for(int root);
  /// Takes it if the last sweep of the store in `directory` is longer ago than an hour and nobody
  /// else takes it; with the first call the hour begins. One system call, where it is not due.
  /// Throws Error(store) where the directory is unfit.
  [[nodiscard]] static std::optional<GcTurn> take_if_due(const std::string& directory);

 private:
  explicit GcTurn(Descriptor stamp) : stamp_(std::move(stamp)) {}
  void note_time() const;

  Descriptor stamp_;  // locked
};

struct GcResult {
  size_t entries = 0;    ///< entries and failures that went
  size_t leftovers = 0;  ///< files of dead processes
  uint64_t bytes = 0;    ///< what both had on the disk
  size_t kept = 0;       ///< entries and failures that stay
  uint64_t kept_bytes = 0;

  /// Adds what another sweep did away with; what stays there is its own affair.
  GcResult& operator+=(const GcResult& other) {
    entries += other.entries;
    leftovers += other.leftovers;
    bytes += other.bytes;
    return *this;
  }
};

/// Sweeps the store in the open directory `root`, down to `max_size` bytes of entries and failures
/// on the disk. What fails stays for the next time.
[[nodiscard]] GcResult collect_garbage(int root, uint64_t max_size, GcMode mode);

/// Sweeps each of the stores in the open directory `folder`, which has nothing else: of those in
/// which nothing lasts. One that has long been empty goes.
[[nodiscard]] GcResult collect_garbage_in_all(int folder, GcMode mode);

}  // namespace memolock
