// The files of the local store that hold a run: entries, and runs in the making or just ended.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "src/entry/record.hpp"
#include "src/store/file_names.hpp"
#include "src/store/store.hpp"
#include "src/system/descriptor.hpp"

struct stat;

namespace memolock {

/// A file of the store, open, and what it was then.
struct OwnedFile {
  Descriptor descriptor;
  uint64_t size = 0;         ///< bytes
  uint64_t disk_size = 0;    ///< bytes that its removal would free
  Nanoseconds last_used{0};  ///< wall clock, to the hour: when it was last replayed or written

  explicit operator bool() const { return static_cast<bool>(descriptor); }
  [[nodiscard]] int get() const { return descriptor.get(); }
  /// The same file, open once more.
  [[nodiscard]] OwnedFile duplicate() const;
};

/// The open file of which `info` is known.
[[nodiscard]] OwnedFile owned_file(Descriptor file, const struct stat& info);

/// Opens `name` below `folder`; empty, with errno set, when it cannot. A symbolic link, a FIFO, a
/// device or another user's file in its place is EPERM or ELOOP. Reading it so is no use of it.
[[nodiscard]] OwnedFile open_owned(int folder, const std::string& name, int flags);

/// Whether `name` in `folder` is the file that is open as `file`. Between this and what is done
/// about it the name can change, but only by somebody who tampers with the store; of a lock file
/// whose owner (system/file_lock.hpp) the caller is not, also by its owner.
[[nodiscard]] bool is_same_file(int folder, const std::string& name, int file);

/// Unlinks `name` in `folder` if it is the file that is open as `file`. For the owner of the run
/// lock alone, or who bars it.
void remove_if_same(int folder, const std::string& name, int file);

/// Whether `del` has marked the run of this file.
[[nodiscard]] bool has_forgotten_mark(int file);

/// An open entry file, or an open run file.
class EntryFile final : public Entry {
 public:
  /// Null when the file does not begin with a sound record.
  [[nodiscard]] static std::unique_ptr<EntryFile> open(OwnedFile file);

  /// Whether the file is one of memolock's, damaged or not.
  [[nodiscard]] static bool is_one(int file);

  [[nodiscard]] const Record& record() const override { return record_; }
  [[nodiscard]] bool is_intact() override;
  [[nodiscard]] std::optional<FileRange> files() override;
  [[nodiscard]] int write(Stream stream, int to) noexcept override;

  /// The open file.
  [[nodiscard]] const OwnedFile& file() const { return file_; }

  /// Adds its output to a spool. False: it cannot be read, or the spool refuses.
  [[nodiscard]] bool pour_into(Spool& spool) const;

  /// How many bytes of output and artifacts the file has (of a run in progress: so far).
  [[nodiscard]] uint64_t payload_size() const { return file_.size - payload_; }

 private:
  EntryFile(OwnedFile file, std::string front, uint64_t payload, Record record);

  [[nodiscard]] std::optional<std::string_view> at_hand(uint64_t offset,
                                                        uint64_t size) const noexcept;
  [[nodiscard]] std::optional<uint64_t> hash_of(uint64_t offset, uint64_t size) const;
  [[nodiscard]] bool pour(uint64_t offset, uint64_t size, Spool& spool, Stream stream) const;
  void note_use() const noexcept;
  [[nodiscard]] int copy(uint64_t offset, uint64_t size, int to) const noexcept;

  OwnedFile file_;
  std::string front_;  // the first bytes of the file; all of a small one
  uint64_t payload_;   // where the output begins
  Record record_;
};

/// The fate that the record in a file of this kind has; nothing for a kind without a record.
[[nodiscard]] std::optional<Disposition> disposition_in(FileKind kind);

}  // namespace memolock
