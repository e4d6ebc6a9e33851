// Counters of the calls of this user on this machine, for each tag.
//
// Each tag has a file of one page (names: store/file_names.hpp), which is mapped into memory and
// updated with atomic additions, so that concurrent processes lose no count and never wait. A file
// gets its name once it is complete and its block is allocated. Counting never makes a call fail: a
// call that cannot be counted is silently ignored.
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

/// The counters of a tag. Calls without a store, interrupted calls and background refreshes are not
/// counted.
struct Counts {
  uint64_t hits = 0;
  uint64_t misses = 0;  ///< the command was run, or a look-up found nothing
  uint64_t waits = 0;   ///< the call waited for another caller's run and got its output
  uint64_t stale = 0;   ///< a stale entry was served, perhaps because a run had failed
  /// The call's own run failed (which is also counted as a miss), a time limit passed, or the store
  /// failed.
  uint64_t failures = 0;
  Nanoseconds saved{0};  ///< run time of the commands that did not have to be run
  uint64_t bytes = 0;    ///< of output that was served from the store
};

struct TagCounts {
  std::string tag;
  Counts counts;
  Nanoseconds since{0};  ///< wall clock: when counting began
};

/// Adds a call to the counters of `tag` in the local store `directory`, unless the call ran without
/// a store, was interrupted or was a background refresh. `missing`: whether to create a missing
/// directory; otherwise the call is not counted. To be called at the end of the process, because it
/// leaves the file open and mapped.
void count_call(const std::string& directory, const std::string& tag, const Outcome& outcome,
                IfMissing missing);

/// What to do with counters after they were read.
enum class AfterRead { keep, reset };

/// The counters of `tag`, or of all tags, in the local store `directory`, sorted by tag. With
/// `reset`, each counter is read and set to 0 in one atomic step.
[[nodiscard]] std::vector<TagCounts> read_counts(const std::string& directory,
                                                 const std::optional<std::string>& tag,
                                                 AfterRead after);

/// Undoes a reset by adding what was read, for a caller that could not use it. Skips tags whose
/// file is gone.
void restore_counts(const std::string& directory, const std::vector<TagCounts>& all);

/// Removes the counters of tags to which nothing was added for 90 days, and the incomplete files of
/// dead processes, in the local store that is open as `directory`. Returns the number of bytes
/// freed.
uint64_t remove_unused_counters(int directory, GcMode mode);

}  // namespace memolock
