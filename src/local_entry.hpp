// The files of the local store that hold a run: entries, and runs in the making or just ended.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "src/descriptor.hpp"
#include "src/entry.hpp"
#include "src/store.hpp"

namespace memolock {

/// A file of the store, open, and its size in bytes then.
struct OwnFile {
  Descriptor descriptor;
  uint64_t size = 0;

  explicit operator bool() const { return static_cast<bool>(descriptor); }
  [[nodiscard]] int get() const { return descriptor.get(); }
};

/// Opens `name` below `folder`; empty, with errno set, when it cannot. A symbolic link, a FIFO, a
/// device or another user's file in its place is EPERM or ELOOP.
[[nodiscard]] OwnFile open_own(int folder, const std::string& name, int flags);

/// Whether `del` has marked the run of this file.
[[nodiscard]] bool has_forgotten_mark(int file);

/// An open entry file, or an open run file.
class LocalEntry final : public Entry {
 public:
  /// Null when the file does not begin with a sound record.
  [[nodiscard]] static std::unique_ptr<LocalEntry> open(OwnFile file);

  /// Whether the file is one of memolock's, damaged or not.
  [[nodiscard]] static bool is_one(int file);

  [[nodiscard]] const Record& record() const override { return record_; }
  [[nodiscard]] bool intact() override;
  [[nodiscard]] int replay(int out, int err) override;

  /// How many bytes of output the file has (of a run in progress: so far).
  [[nodiscard]] uint64_t payload_size() const { return file_.size - payload_; }

 private:
  LocalEntry(OwnFile file, std::string front, uint64_t payload, Record record);

  [[nodiscard]] std::optional<std::string_view> at_hand(uint64_t offset, uint64_t size) const;
  [[nodiscard]] std::optional<uint64_t> hash_of(uint64_t offset, uint64_t size) const;
  [[nodiscard]] int copy(uint64_t offset, uint64_t size, int to) const;

  OwnFile file_;
  std::string front_;  // the first bytes of the file; all of a small one
  uint64_t payload_;   // where the output begins
  Record record_;
};

}  // namespace memolock
