// Harness: reads a file of the local store. Its checksum is corrected first, since otherwise
// nothing would get past it.
#include <fmt/format.h>

#include "src/entry/freshness.hpp"
#include "src/entry/record.hpp"
#include "src/store/file_names.hpp"
#include "tests/fuzz/harness.hpp"

namespace memolock::fuzz {
namespace {

constexpr size_t at_hash = fixed_part_size - 8;

void mend(std::string& file) {
  const auto head = payload_offset(file);
  if (!head || *head > file.size()) return;
  std::string hashed = file.substr(0, at_hash) +
                       file.substr(fixed_part_size, *head - fixed_part_size);
  hashed[forgotten_offset] = '\0';
  for (uint64_t hash = checksum(hashed), i = 0; i < 8; ++i)
    file[at_hash + i] = static_cast<char>(hash >> (8 * i));
}

const Harness entry("entry", [](std::string_view bytes) {
  std::string file(bytes);
  mend(file);
  const auto record = decode(file);
  if (!record) return;
  const std::string again = encode(*record);
  const auto same = decode(again);
  require(same && encode(*same) == again, "a record that was written is read unchanged");
  require(same->key == record->key && same->command == record->command, "its words are unchanged");
  require(EntryFileNames(Key{"t", "x"}).answer(record->token).find('/') == std::string::npos,
          "its token cannot name another directory");
  for (const Nanoseconds now : {Nanoseconds(0), wall_now()}) {
    const Nanoseconds left = time_left(*record, now);
    require(record->ttl < Nanoseconds(0) || left <= record->ttl, "no entry outlives its ttl");
    (void)is_fresh(*record, {}, now);
    (void)is_recent_run(*record, std::chrono::hours(1), now);
  }
});

}  // namespace
}  // namespace memolock::fuzz
