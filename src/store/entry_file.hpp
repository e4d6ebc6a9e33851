// Reads the files that contain a run: entries, and runs in progress or just ended. The format is
// described in entry/record.hpp; store/entry_writer.hpp writes the files.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "src/entry/record.hpp"
#include "src/store/file_names.hpp"
#include "src/store/store.hpp"
#include "src/system/owned_file.hpp"

namespace memolock {

/// Whether `del` was called during the run that wrote `file`, so that its result must not be
/// stored.
[[nodiscard]] bool has_forgotten_mark(int file);

/// The disposition that a record must have in a file of this kind; nothing for a kind that does not
/// determine it.
[[nodiscard]] std::optional<Disposition> disposition_in(FileKind kind);

/// An open entry file or run file, with its record.
///
/// Used by one thread, except that write() may be called for both streams at the same time. It
/// reads the file that was opened, even after another process has replaced the file or removed its
/// name.
class EntryFile final : public Entry {
 public:
  /// Reads the record at the start of `file`. Null if there is no valid record of this version,
  /// because the file is damaged, truncated or foreign. Does not check the payload; is_intact()
  /// does.
  [[nodiscard]] static std::unique_ptr<EntryFile> open(OwnedFile file);

  /// The same for the file `name` in `directory`. Also null if open_owned_file() cannot open it.
  [[nodiscard]] static std::unique_ptr<EntryFile> open_at(int directory, const std::string& name);

  /// Whether some version of memolock wrote the file, damaged or not.
  [[nodiscard]] static bool is_memolock_file(int file);

  [[nodiscard]] const Record& record() const override { return record_; }
  [[nodiscard]] bool is_intact() override;
  [[nodiscard]] std::optional<FileRange> files() override;
  [[nodiscard]] int write(Stream stream, int to) noexcept override;

  [[nodiscard]] const OwnedFile& file() const { return file_; }

  /// Appends both streams to `spool`. Returns false if they cannot be read, or the spool refuses
  /// them.
  [[nodiscard]] bool copy_to(Spool& spool) const;

  /// The size of output and artifacts in the file, in bytes; for a run in progress, the size when
  /// the file was opened.
  [[nodiscard]] uint64_t payload_size() const { return file_.size - payload_; }

 private:
  EntryFile(OwnedFile file, std::string front, uint64_t payload, Record record);

  [[nodiscard]] std::optional<std::string_view> in_memory(uint64_t offset,
                                                          uint64_t size) const noexcept;
  [[nodiscard]] std::optional<uint64_t> hash_of(uint64_t offset, uint64_t size) const;
  [[nodiscard]] bool append_to(Spool& spool, Stream stream, uint64_t offset, uint64_t size) const;
  void note_use() const noexcept;
  [[nodiscard]] int copy(uint64_t offset, uint64_t size, int to) const noexcept;

  OwnedFile file_;
  std::string front_;  // the first bytes of the file, or all of a small one
  uint64_t payload_;   // the offset of the output
  Record record_;
};

}  // namespace memolock
