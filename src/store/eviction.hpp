// Which entry files are removed to keep a directory small: those that no longer answer anybody, and
// then the least recently used ones.
//
// These functions only decide. Whoever removes a file makes sure that nobody replaces it meanwhile.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "src/entry/record.hpp"
#include "src/system/clock.hpp"
#include "src/system/owned_file.hpp"

namespace memolock {

/// Whether what is no longer used is removed.
enum class GcMode {
  remove,
  dry_run,  ///< it is only counted
};

/// When an entry file was last replayed or written (wall clock, to the hour); 0 when that time is
/// in the future, as after the clock was set back.
[[nodiscard]] Nanoseconds last_use_of(const OwnedFile& file);

/// Whether a file that memolock has written may still answer a caller: it is complete, its record
/// has the disposition that its name stands for, and its retention has not ended. True of a file
/// that another version of memolock has written, which may need it. Reads the head, not the
/// payload.
[[nodiscard]] bool may_still_answer(const OwnedFile& file, Disposition disposition);

/// The files that may be removed to make room: their sizes and when they were last used. Needs 16
/// bytes for each.
class LruCandidates {
 public:
  void add(const OwnedFile& file);

  [[nodiscard]] size_t count() const { return files_.size(); }
  /// Bytes that all of them occupy on the disk.
  [[nodiscard]] uint64_t total_size() const { return total_size_; }

  /// The most recent last use among those that must go until at most `max_size` bytes are left.
  /// Several files may have been used at that time, so the caller stops when enough are removed.
  [[nodiscard]] Nanoseconds newest_to_remove(uint64_t max_size);

 private:
  std::vector<std::pair<Nanoseconds, uint64_t>> files_;  // last use, size on the disk
  uint64_t total_size_ = 0;
};

}  // namespace memolock
