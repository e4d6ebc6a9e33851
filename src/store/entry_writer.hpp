// Writes an entry file: under a working name until it is complete, then it is renamed or linked to
// the name under which callers look for it. The format is described in entry/record.hpp;
// store/entry_file.hpp reads the files.
#pragma once

#include <memory>
#include <string>

#include "src/entry/record.hpp"
#include "src/entry/spool.hpp"
#include "src/system/descriptor.hpp"

namespace memolock {

/// A file that is being written. Used by one thread; others may read the written parts of the
/// spool's streams (entry/spool.hpp).
///
/// The payload is written to the spool. write_head() writes the head, which is the fixed part and
/// the names; replace_head() rewrites it. Nothing is synced to disk: the checksums in the head
/// reveal damage after a crash. All functions that write, rename or link throw Error(store) on
/// failure. The destructor removes nothing.
class EntryWriter {
 public:
  /// Takes over the empty `file`, open for reading and writing, which has the working name `name`
  /// in `directory`. `directory` must stay open; `path` is its path, for messages. `record`
  /// determines the size of the head, so its names (key, holder, command, artifacts, token) must
  /// not change.
  EntryWriter(Descriptor file, int directory, std::string path, std::string name,
              const Record& record);

  /// The spool for stdout, stderr and artifacts.
  [[nodiscard]] const std::shared_ptr<Spool>& spool() const noexcept { return spool_; }

  /// Writes the head of a file that no process reads yet.
  void write_head(const Record& record) const;

  /// Rewrites the head while others may be reading the file. A reader may get parts of both heads,
  /// which do not match the head's checksum. Does not change the byte at `forgotten_offset`, which
  /// only `del` sets.
  void replace_head(const Record& record) const;

  /// Whether `del` has marked the file as forgotten.
  [[nodiscard]] bool is_forgotten() const;

  /// Atomically renames the complete file to `name`, replacing any file of that name.
  void rename_to(const std::string& name) const;

  /// Gives the complete file the name `name`, or returns false if that name is taken. On a file
  /// system with hard links, the working name remains.
  [[nodiscard]] bool link_unless_taken(const std::string& name) const;

  /// Removes the working name, if this file still has it. Does nothing after rename_to().
  void remove_working_name() const noexcept;

 private:
  [[nodiscard]] int file() const { return spool_->file(Stream::out); }
  [[nodiscard]] std::string failure(const std::string& name) const;

  int directory_;
  std::string path_;
  std::string name_;
  std::shared_ptr<Spool> spool_;
};

}  // namespace memolock
