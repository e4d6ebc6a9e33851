// The files and links of a restore, under temporary names until all of them are complete.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <deque>
#include <string>

#include "src/artifacts/archive.hpp"
#include "src/artifacts/restored_tree.hpp"
#include "src/system/descriptor.hpp"
#include "src/system/staging_name.hpp"

namespace memolock {

/// Writes each file or link under a staging name in its final directory, and renames all of them at
/// the end.
///
/// The first staged file, if it is a regular file, stays locked and is renamed last: its lock shows
/// other restores that this one is running (see AbandonedFiles).
///
/// Used by one thread. Throws Error(store) for a system call that fails, RefusedArchive if the
/// archive is malformed, and Error(interrupted) when the descriptor `interrupt` becomes readable.
class StagedFiles {
 public:
  /// Keeps references to `tree` and `names`.
  StagedFiles(RestoredTree& tree, const StagingNames& names, int interrupt)
      : tree_(tree), names_(names), interrupt_(interrupt) {}

  /// Stages the member that `reader` has returned last: a link, or a file, whose content is read
  /// from `reader`.
  void add(ArchiveReader& reader, const Member& member, RestoredTree::Node node);

  /// Renames all of them to their final names. All get the same time, which the file system has
  /// given the first file: with a time from another clock, they could appear older than files that
  /// were created just before.
  void put_in_place();

  /// Removes the staged files that were not renamed. Skips files that cannot be removed.
  void remove();

 private:
  [[nodiscard]] Descriptor create(int directory, const std::string& path);
  void add_file(ArchiveReader& reader, const Member& member, int directory,
                RestoredTree::Node node);
  void write_content(ArchiveReader& reader, const Member& member, int file,
                     const std::string& path) const;
  [[nodiscard]] size_t next_to_place() const;

  RestoredTree& tree_;
  const StagingNames& names_;
  int interrupt_;
  std::deque<RestoredTree::Node> nodes_;  // in the order of their staging numbers
  size_t placed_ = 0;                     // how many have been renamed
  Descriptor first_;                      // the locked first file; empty if the first one is a link
  mode_t first_mode_ = 0;  // set at the end; until then other restores must be able to open it
};

}  // namespace memolock
