// The output of a run, on disk as it comes.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "src/entry/record.hpp"
#include "src/system/descriptor.hpp"

namespace memolock {

/// What a run leaves: two streams, and the archive of its artifacts.
enum class Stream : uint8_t { out, err, files };

/// A part of an open file.
struct FilePart {
  int file = -1;
  uint64_t offset = 0;
  uint64_t size = 0;
};

/// Growing files, one a stream. Written by one thread; other threads may read what they were
/// told is there.
class Spool {
 public:
  /// Puts stdout into `file` from offset `base` on and each other into a nameless file of its own
  /// in the folder `folder`, which must stay open as long as the spool.
  Spool(Descriptor file, uint64_t base, int folder);
  /// Puts all into nameless files where temporary ones belong, made when they are needed.
  Spool() = default;

  /// The most that all together may hold; bytes.
  void limit(uint64_t bytes) { limit_ = bytes; }

  /// Adds all of `bytes` or nothing. False: past the limit, or the disk refuses; nothing more is
  /// taken from then on.
  [[nodiscard]] bool append(Stream stream, std::string_view bytes) noexcept;

  /// Whether artifacts that are so large when they are unpacked may be beside the streams; bytes.
  /// False as append.
  [[nodiscard]] bool has_room_for_files(uint64_t unpacked) noexcept;

  /// Takes nothing more: what was to come could not be read, for this errno.
  void miss(int error) noexcept { refuse(Refusal::unreadable, error); }

  /// Why append refuses, in words that follow "not stored: "; empty: it does not.
  [[nodiscard]] std::string fault() const;

  /// Copies stderr and the artifacts behind stdout, where an entry has them. Throws Error(store).
  void join();

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
  int folder_ = -1;
  uint64_t limit_ = UINT64_MAX;
  Refusal refusal_ = Refusal::none;
  int error_ = 0;  // the errno of the last two
};

}  // namespace memolock
