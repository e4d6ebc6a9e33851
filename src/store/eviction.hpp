// Selects the entry files to be removed to limit the size of a directory: first those that can no
// longer answer any caller, then the least recently used ones.
//
// These functions only decide. A caller that removes a file must ensure that no process replaces it
// in the meantime.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "src/entry/record.hpp"
#include "src/system/clock.hpp"
#include "src/system/owned_file.hpp"

namespace memolock {

/// Whether files are removed or only counted.
enum class GcMode {
  remove,
  dry_run,  ///< count what would be removed
};

/// When an entry file was last replayed or written (wall clock, accurate to the hour); 0 if that
/// time is in the future, for example after the clock was set back.
[[nodiscard]] Nanoseconds last_use_of(const OwnedFile& file);

/// Whether a file that memolock has written may still answer a caller: it is complete, its record
/// has this `disposition`, and its retention has not ended. Also true for a file that was written
/// by another version of memolock, because that version may still use it. Reads the head, not the
/// payload.
[[nodiscard]] bool may_still_answer(const OwnedFile& file, Disposition disposition);

/// The files that may be removed to make room: their sizes and when they were last used. Uses 16
/// bytes per file.
class LruCandidates {
 public:
  void add(const OwnedFile& file);

  [[nodiscard]] size_t count() const { return files_.size(); }
  /// Bytes that all of them occupy on the disk.
  [[nodiscard]] uint64_t total_size() const { return total_size_; }

  /// When the newest file that must be removed was last used, if the least recently used ones are
  /// removed until at most `max_size` bytes are left. Several files may have that time, so the
  /// caller must stop once enough are removed.
  [[nodiscard]] Nanoseconds newest_to_remove(uint64_t max_size);

 private:
  std::vector<std::pair<Nanoseconds, uint64_t>> files_;  // last use, size on the disk
  uint64_t total_size_ = 0;
};

}  // namespace memolock
