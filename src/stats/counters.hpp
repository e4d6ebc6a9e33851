// Counters of the calls of this user on this machine, for each tag.
//
// Each tag has a file of one page (names: store/file_names.hpp), which is mapped into memory and
// updated with atomic additions, so that concurrent processes lose no count and never wait. A file
// gets its name when it is complete and its block is allocated. Counting never fails a call: when
// it is not possible, the call is silently not counted.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "src/entry/request.hpp"
#include "src/store/eviction.hpp"
#include "src/system/clock.hpp"
#include "src/system/directory.hpp"

namespace memolock {

struct Counts {
  uint64_t hits = 0;
  uint64_t misses = 0;  ///< the command was run, or a look-up found nothing
  uint64_t waits = 0;   ///< the call waited for another's run and got its output
  uint64_t stale = 0;   ///< a stale entry was served, also in place of a failed run
  /// The call's own run failed (also counted as a miss), a time limit passed, or the store failed.
  uint64_t failures = 0;
  Nanoseconds saved{0};  ///< run time of the commands that did not have to be run
  uint64_t bytes = 0;    ///< of output that was served from the store
};

struct TagCounts {
  std::string tag;
  Counts counts;
  Nanoseconds since{0};  ///< wall clock: when counting began
};

/// Adds a call to the counters of `tag` in the local store `directory`. If that is missing, it is
/// created or the call is not counted. To be called at the end of the process: leaves its file
/// open and mapped.
void count_call(const std::string& directory, const std::string& tag, const Outcome& outcome,
                IfMissing missing);

/// What happens to counters that are read.
enum class AfterRead { keep, reset };

/// The counters in the local store `directory`, of all tags or of one, sorted by tag. With `reset`,
/// reading and resetting a counter is one atomic step.
[[nodiscard]] std::vector<TagCounts> read_counts(const std::string& directory,
                                                 const std::optional<std::string>& tag,
                                                 AfterRead after);

/// Undoes a reset: adds what was read, for a caller that could not use it. Does nothing for a file
/// that is gone.
void restore_counts(const std::string& directory, const std::vector<TagCounts>& all);

/// Removes the counters in the local store that is open as `directory` to which nothing was added
/// for 90 days, and incomplete files of dead processes. Returns how many bytes that frees.
uint64_t remove_unused_counters(int directory, GcMode mode);

}  // namespace memolock
