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

/// Writes each file or link beside its final name, and renames all of them at the end.
///
/// The first staged file, if it is a regular one, stays locked until it is in place, which comes
/// last: by that lock another restore tells that this one is running (AbandonedFiles).
///
/// Used by one thread. Throws Error(store) for a system call that fails, RefusedArchive, and
/// Error(interrupted) when the descriptor `interrupt` becomes readable.
class StagedFiles {
 public:
  /// Keeps references to `tree` and `names`.
  StagedFiles(RestoredTree& tree, const StagingNames& names, int interrupt)
      : tree_(tree), names_(names), interrupt_(interrupt) {}

  /// Stages the member that `reader` has read last: a file, whose content it reads, or a link.
  void add(ArchiveReader& reader, const Member& member, RestoredTree::Node node);

  /// Renames all to their final names. All get one time, that of the first one's creation: by any
  /// other clock they might seem older than what was made just before.
  void put_in_place();

  /// Removes those that are not in place. Whatever fails is skipped.
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
  size_t placed_ = 0;                     // how many are in place
  Descriptor first_;                      // the locked one; empty: the first is a link
  mode_t first_mode_ = 0;                 // set when it is in place; until then others can open it
};

}  // namespace memolock
