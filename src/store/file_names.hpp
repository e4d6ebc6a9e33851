// The names of all files in a local store. Nothing else in the project spells one.
#pragma once

#include <string>
#include <string_view>

#include "src/entry/key.hpp"

namespace memolock {

/// What lies in a local store's directory beside the folders of tags, none of which begins so: the
/// folder of the counters, the file that says by its time when `gc` last ran, and the folder of
/// what is known of clusters.
inline constexpr std::string_view counters_folder = ".stats";
inline constexpr const char* gc_stamp = ".gc";
inline constexpr std::string_view clusters_folder = ".clusters";

/// The file of a tag's counters in their folder.
[[nodiscard]] std::string counters_file(std::string_view tag);

/// The file of a cluster's slots in their folder; `nodes`: those that its URL names.
[[nodiscard]] std::string slots_file(std::string_view nodes);

/// The files of one entry below a local store's directory. Tag and id stand in them readably,
/// percent-escaped; one that is too long for a file name is cut and carries a hash instead.
struct EntryFileNames {
  explicit EntryFileNames(const Key& key);
  /// Of the entry to which `name`, found in `folder`, belongs; it is neither foreign nor a spool.
  EntryFileNames(std::string folder, std::string_view name);

  std::string folder;   ///< of the tag
  std::string entry;    ///< what the last kept run left
  std::string failed;   ///< the same of a failure
  std::string mark;     ///< that `once` has run, and when
  std::string lock;     ///< the run lock
  std::string run;      ///< the run in progress
  std::string wake;     ///< the FIFO on which its waiters sleep
  std::string promise;  ///< the FIFO by which others tell the holder of a promise

  /// The outcome of the run with this token, made by others.
  [[nodiscard]] std::string answer(std::string_view token) const;

 private:
  void name_all();

  std::string stem_;
};

enum class FileKind { entry, failed, mark, lock, run, wake, promise, answer, spool, foreign };

/// What a name found in a tag's folder is.
[[nodiscard]] FileKind kind_of_file(std::string_view name);

}  // namespace memolock
