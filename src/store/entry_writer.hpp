// Writing an entry file: under a working name until it is complete, then renamed or linked to the
// name under which callers look for it (format: entry/record.hpp; reading: store/entry_file.hpp).
#pragma once

#include <memory>
#include <string>

#include "src/entry/record.hpp"
#include "src/entry/spool.hpp"
#include "src/system/descriptor.hpp"

namespace memolock {

/// A file that is being written. One thread may use it; others may read the spool's streams as far
/// as they are written (entry/spool.hpp).
///
/// The payload goes into the spool. The head, that is the fixed part and the names, is written with
/// write_head(), or again with replace_head(). None of its calls syncs the disk: the checksums in
/// the head reveal a file that was damaged by a crash. All of them throw Error(store) on failure.
/// The destructor removes nothing.
class EntryWriter {
 public:
  /// Takes over the empty `file`, open for reading and writing, which has the working name `name`
  /// in `directory`. `directory` must stay open; `path` is its path, for messages. `record`
  /// determines the size of the head, so its names (key, holder, command, artifacts, token) must
  /// not change.
  EntryWriter(Descriptor file, int directory, std::string path, std::string name,
              const Record& record);

  /// Where stdout, stderr and artifacts go.
  [[nodiscard]] const std::shared_ptr<Spool>& spool() const noexcept { return spool_; }

  /// Writes the head of a file that nobody reads yet.
  void write_head(const Record& record) const;

  /// Writes the head again while others may read the file. They may read parts of both heads, which
  /// fails the head's checksum. Keeps the byte at `forgotten_offset`, which belongs to `del`.
  void replace_head(const Record& record) const;

  /// Whether `del` has marked the file as forgotten.
  [[nodiscard]] bool is_forgotten() const;

  /// Renames the complete file to `name`, and replaces what has that name. Atomic.
  void rename_to(const std::string& name) const;

  /// Gives the complete file the name `name` unless something has it already: returns false then.
  /// The working name stays where the file system has hard links.
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
