// The names of all files in a local store. Only this file constructs them.
#pragma once

#include <string>
#include <string_view>

#include "src/entry/key.hpp"

namespace memolock {

/// The names in a local store's directory in addition to the directories of tags, whose names never
/// begin with a dot: the directory of the counters, the file whose modification time is the time of
/// the last `gc`, and the directory of the slot maps of clusters.
inline constexpr std::string_view counters_directory = ".stats";
inline constexpr const char* gc_stamp = ".gc";
inline constexpr std::string_view clusters_directory = ".clusters";

/// The name of a tag's file in the directory of the counters.
[[nodiscard]] std::string counters_file(std::string_view tag);

/// The name of a cluster's file in the directory of the slot maps. `nodes`: the nodes in its URL.
[[nodiscard]] std::string slots_file(std::string_view nodes);

/// The names of the files of one entry. They contain tag and id in readable form, percent-escaped;
/// one that is too long for a file name is truncated, and ends with a hash of the full name.
struct EntryFileNames {
  explicit EntryFileNames(const Key& key);
  /// The names for the entry to which the file `name` in `directory` belongs. Its kind must be
  /// neither foreign nor spool.
  EntryFileNames(std::string directory, std::string_view name);

  std::string directory;  ///< of the tag, below that of the store
  std::string entry;      ///< the last stored run
  std::string failed;     ///< the last stored failure
  std::string mark;       ///< when `once` last ran the command, and its status
  std::string lock;       ///< the run lock
  std::string run;        ///< the run in progress
  std::string wake;       ///< the FIFO on which its waiters sleep
  std::string promise;    ///< the FIFO that is the mailbox of a promise

  /// The outcome that another process has delivered for the run with this token.
  [[nodiscard]] std::string answer(std::string_view token) const;

 private:
  void set_names();

  std::string stem_;
};

enum class FileKind { entry, failed, mark, lock, run, wake, promise, answer, spool, foreign };

/// The kind of a file with this name in the directory of a tag. Only the ending of the name
/// matters.
[[nodiscard]] FileKind kind_of_file(std::string_view name);

}  // namespace memolock
