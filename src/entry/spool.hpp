// The output of a run, written to disk as it arrives.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "src/entry/record.hpp"
#include "src/system/descriptor.hpp"

namespace memolock {

/// The parts of a run's output: two streams, and the archive of its artifacts.
enum class Stream : uint8_t { out, err, files };

/// A range of an open file.
struct FileRange {
  int file = -1;
  uint64_t offset = 0;
  uint64_t size = 0;
};

/// Append-only files, one for each stream. One thread writes; others may read the bytes that the
/// writer has announced.
class Spool {
 public:
  /// Writes stdout to `file` from offset `base` on, and each other stream to an anonymous file in
  /// the open `directory`, which must stay open for the lifetime of this object.
  Spool(Descriptor file, uint64_t base, int directory);
  /// Writes each stream to an anonymous file in the directory for temporary files, created on
  /// first use.
  Spool() = default;

  /// Limits all streams together to this many bytes.
  void limit(uint64_t bytes) { limit_ = bytes; }

  /// Appends all of `bytes` or nothing. Returns false if the limit is exceeded or the write fails;
  /// from then on nothing is accepted.
  [[nodiscard]] bool append(Stream stream, std::string_view bytes) noexcept;

  /// Whether artifacts that take `unpacked` bytes when unpacked are within the limit, together with
  /// the streams. If not, nothing is accepted from then on.
  [[nodiscard]] bool has_room_for_files(uint64_t unpacked) noexcept;

  /// Accepts nothing from now on, because reading the rest of the output failed with this errno.
  void refuse_unreadable(int error) noexcept { refuse(Refusal::unreadable, error); }

  /// Why append() fails, worded to follow "not stored: "; empty if it does not fail.
  [[nodiscard]] std::string why_refused() const;

  /// Appends stderr and the artifacts to the file of stdout, the layout of an entry. Throws
  /// Error(store).
  void append_to_stdout_file();

  [[nodiscard]] int file(Stream stream) const { return part(stream).file.get(); }
  [[nodiscard]] uint64_t base(Stream stream) const { return part(stream).base; }
  [[nodiscard]] uint64_t size(Stream stream) const { return part(stream).size; }
  [[nodiscard]] uint64_t hash(Stream stream) const { return part(stream).hash.value(); }

 private:
  [[nodiscard]] bool fits(uint64_t size, bool with_files) noexcept;
  struct Part {
    Descriptor file;
    uint64_t base = 0;
    uint64_t size = 0;
    Checksum hash;
  };
  enum class Refusal { none, too_large, too_large_with_artifacts, unwritable, unreadable };

  void refuse(Refusal why, int error) noexcept;
  [[nodiscard]] Descriptor make_file() const noexcept;
  Part& part(Stream stream) { return parts_.at(static_cast<size_t>(stream)); }
  [[nodiscard]] const Part& part(Stream stream) const {
    return parts_.at(static_cast<size_t>(stream));
  }

  std::array<Part, 3> parts_;
  int directory_ = -1;
  uint64_t limit_ = UINT64_MAX;
  Refusal refusal_ = Refusal::none;
  int error_ = 0;  // the errno of unwritable and unreadable
};

}  // namespace memolock
