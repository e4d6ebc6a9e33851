// What a run left: the record of it, and how a record and its bytes lie in a file.
//
// An entry file is   | fixed part | names | stdout | stderr | artifacts |   and the file of a run
// in progress is the same thing in the making: fixed part and names are written before the file
// gets its name, stdout as it comes, the rest and the final fixed part at the end. Integers are
// little-endian, so that a shared directory serves any machine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/entry/key.hpp"
#include "src/entry/token.hpp"
#include "src/system/clock.hpp"

namespace memolock {

/// How a command ended.
enum class ExitKind : uint8_t {
  exited,       ///< by itself, with a status
  signaled,     ///< by a signal
  not_started,  ///< it could not be executed (status 126 or 127)
  timed_out,    ///< stopped at --max-runtime (status 124)
};

/// What became of a run.
enum class Disposition : uint8_t {
  running,   ///< not finished; where nobody holds its lock, its holder died
  kept,      ///< stored, for everybody
  shared,    ///< finished but not stored: for those who waited for it and nobody else
  unstored,  ///< too large or not storable; its output is not here, and those who waited run the
             ///< command themselves
  failed,    ///< a failure, stored for everybody beside what may be kept
  marked,    ///< nothing but that it was, and how it ended, stored beside all that (`once`)
};

/// What a store has of that fate, for people.
[[nodiscard]] std::string_view describe_disposition(Disposition disposition);

struct Record {
  Disposition disposition = Disposition::running;
  bool foreign = false;  ///< stored by another program: nothing is known but stdout and time left
  ExitKind exit_kind = ExitKind::exited;
  int status = 0;               ///< what memolock exits with: the command's, or 128+N
  bool ttl_by_command = false;  ///< the command chose its ttl itself (MEMOLOCK_CONTROL)
  bool stale_by_command = false;
  Producer producer = Producer::command;
  /// How many runs in a row, this one included, ended in a way that may be one machine's trouble.
  uint32_t transient_failures = 0;
  Nanoseconds begun{0};  ///< the store's clock
  Nanoseconds ended{0};  ///< the same; an entry's age counts from here
  Nanoseconds run_time{0};
  Nanoseconds ttl{0};    ///< how long it is fresh; of a failure: how long it answers everybody
  Nanoseconds stale{0};  ///< how long after its ttl it may be served while it is refreshed, if the
                         ///< command has chosen that (MEMOLOCK_CONTROL)
  Nanoseconds retained{
      0};  ///< how long it is of use; of a failure: when to try again at the soonest
  uint64_t out_size = 0, err_size = 0;
  uint64_t out_hash = 0, err_hash = 0;
  uint64_t files_size = 0;  ///< bytes of the archive of its artifacts; 0: there is none
  uint64_t files_hash = 0;
  std::vector<std::string> artifacts;  ///< the paths in it, as the caller named them
  std::string token;
  Key key;
  Holder holder;
  std::vector<std::string> command;

  [[nodiscard]] bool succeeded() const { return exit_kind == ExitKind::exited && status == 0; }
  /// Whether another machine, or another moment, might well fare better.
  [[nodiscard]] bool is_transient_failure() const {
    return exit_kind == ExitKind::signaled || exit_kind == ExitKind::not_started;
  }
};

/// What is said of an entry that has more than the `most` bytes that may be read for one.
[[nodiscard]] std::string describe_too_large(uint64_t most);

/// The hash that tells a damaged payload: XXH3, 64 bits, as the bytes come.
class Checksum {
 public:
  Checksum();
  ~Checksum();
  Checksum(Checksum&&) noexcept;
  Checksum& operator=(Checksum&&) noexcept;
  Checksum(const Checksum&) = delete;
  Checksum& operator=(const Checksum&) = delete;

  void add(std::string_view bytes);
  [[nodiscard]] uint64_t value() const;

 private:
  struct State;
  State* state_;
};

/// The same of bytes that are all at hand.
[[nodiscard]] uint64_t checksum(std::string_view bytes);

/// Fixed part and names of a record.
[[nodiscard]] std::string encode(const Record& record);

/// Words as one text, NUL behind each; none of them holds one.
[[nodiscard]] std::string in_one_text(const std::vector<std::string>& words);
[[nodiscard]] std::vector<std::string> words_in(std::string_view text);

/// Where the payload begins in a file that begins with `bytes`; nothing when this is no entry file
/// of this version. At least `fixed_part_size` bytes are needed.
inline constexpr size_t fixed_part_size = 168;
[[nodiscard]] std::optional<uint64_t> payload_offset(std::string_view bytes);

/// Whether a file that begins with `bytes` was written by some version of memolock.
[[nodiscard]] bool has_magic(std::string_view bytes);

/// The record at the front of a file; nothing when it is foreign, truncated or damaged.
[[nodiscard]] std::optional<Record> decode(std::string_view bytes);

/// The one byte of a file that others than its writer may set (to 1): `del` was asked for while the
/// run was going on, so it must not be stored. No checksum covers it.
inline constexpr uint64_t forgotten_offset = 11;

}  // namespace memolock
