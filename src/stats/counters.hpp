// What the calls of this user on this machine came to: counters for each tag.
//
// Each tag has a file (names: entry/key.hpp) of one page, which who counts maps into memory and
// adds to, so that no count is lost however many do so, and nobody waits. The file is made whole,
// with its block on the disk, and then gets its name. Counting is no reason for anything to fail:
// where it is not possible it is left out without a word.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "src/entry/request.hpp"
#include "src/system/clock.hpp"
#include "src/system/directory.hpp"

namespace memolock {

struct Counts {
  uint64_t hits = 0;
  uint64_t misses = 0;  ///< the command was run, or a look-up found nothing
  uint64_t waits = 0;   ///< another's run was waited for, and its output taken
  uint64_t stale = 0;   ///< an old entry was served, be it in place of a failed run
  /// The call's own run failed (a miss, too), a time limit passed, or the store refused.
  uint64_t failures = 0;
  Nanoseconds saved{0};  ///< run time of the commands that were not run
  uint64_t bytes = 0;    ///< of output that was served and not made
};

struct TagCounts {
  std::string tag;
  Counts counts;
  Nanoseconds since{0};  ///< wall clock: when counting began
};

/// Adds a call to the counters of `tag` below `directory`, a local store's. Where the directory is
/// missing it is made, or the call is not counted. The last thing that a process does: what it
/// opens, it leaves open.
void count_call(const std::string& directory, const std::string& tag, const Outcome& outcome,
                Missing missing);

enum class After { keep, reset };

/// The counters below `directory`, of all tags or of one, by name. With `reset` they are zero from
/// the moment on when they were read.
[[nodiscard]] std::vector<TagCounts> read_counts(const std::string& directory,
                                                 const std::optional<std::string>& tag,
                                                 After after);

/// Adds what was read with `reset`, since it was of no use. As far as that is possible.
void restore_counts(const std::string& directory, const std::vector<TagCounts>& all);

/// What is done with files that are of no use any more.
enum class GcMode {
  remove,
  dry_run,  ///< they are only counted
};

/// Removes the files of counters below the open `directory` that nobody has added to for 90 days,
/// and what was left of making one. Returns how many bytes that frees.
uint64_t drop_unused_counts(int directory, GcMode mode);

}  // namespace memolock
