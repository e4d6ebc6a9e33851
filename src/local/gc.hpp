// Garbage collection in a local store while others use it.
//
// It removes entries, failures and marks that can no longer answer any caller, damaged ones, files
// of dead processes, and then the least recently used entries and failures until the rest is small
// enough (store/eviction.hpp). Foreign files are not removed. A process that has a file open can
// still read it to its end.
//
// No file is removed while the run lock of its entry is held. While an entry is removed, `gc`
// prevents others from taking its run lock (try_reserve_file() in system/file_lock.hpp), so that no
// process can replace it between the last check and the removal. A process that tries to take the
// lock at that moment tries again: even with --wait 0, it does not mistake `gc` for a holder.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "src/stats/counters.hpp"
#include "src/system/descriptor.hpp"

namespace memolock {

/// The right to collect garbage in a store. One process at a time has it, for the lifetime of this
/// object.
class GcLock {
 public:
  /// Waits until it is free. `root`: the store's open directory. Throws Error(store).
  [[nodiscard]] static GcLock acquire(int root);
  /// Takes it if it is free and was last taken more than an hour ago; in a store in which it was
  /// never taken, the hour begins with this call. Makes one system call if no collection is due.
  /// Throws Error(store) if the directory cannot be used as a store.
  [[nodiscard]] static std::optional<GcLock> acquire_if_due(const std::string& directory);

 private:
  explicit GcLock(Descriptor stamp) : stamp_(std::move(stamp)) {}
  void note_time() const;

  Descriptor stamp_;  // locked; its modification time is that of the last collection
};

struct GcResult {
  size_t entries = 0;    ///< entries, failures and marks that were removed
  size_t leftovers = 0;  ///< files of dead processes that were removed
  uint64_t bytes = 0;    ///< the size of both, and of removed counters
  size_t kept = 0;       ///< entries and failures that remain
  uint64_t kept_bytes = 0;

  /// Adds the numbers of removed files from `other`, but not its number of remaining ones.
  GcResult& operator+=(const GcResult& other) {
    entries += other.entries;
    leftovers += other.leftovers;
    bytes += other.bytes;
    return *this;
  }
};

/// Collects garbage in the store whose directory is open as `root`, until entries and failures
/// occupy at most `max_size` bytes on the disk. Files that cannot be removed are skipped. Requires
/// a GcLock, unless `mode` is dry_run.
[[nodiscard]] GcResult collect_garbage(int root, uint64_t max_size, GcMode mode);

/// The same for each of the stores in the open directory `parent`, which contains nothing else.
/// These are the fallback stores, which are used if the chosen store cannot be reached. Their size
/// is not limited. Also removes empty stores in which no file was created or removed in the last
/// minute.
[[nodiscard]] GcResult collect_garbage_in_all(int parent, GcMode mode);

}  // namespace memolock
