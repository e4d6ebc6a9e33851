#include "src/entry/record.hpp"

#define XXH_INLINE_ALL
#include <algorithm>
#include <new>
#include <utility>

#include <fmt/format.h>
#include <xxhash.h>

#include "src/system/units.hpp"

namespace memolock {
namespace {

constexpr std::string_view magic = "memolock";
constexpr uint8_t version = 2;

// Offsets in the fixed part.
constexpr size_t at_version = 8;
constexpr size_t at_disposition = 9;
constexpr size_t at_exit_kind = 10;
static_assert(forgotten_offset == 11);
constexpr size_t at_status = 12;
constexpr size_t at_flags = 14;
constexpr size_t at_transient_failures = 16;
constexpr size_t at_names_size = 20;
constexpr size_t at_begun = 24;
constexpr size_t at_ended = 32;
constexpr size_t at_run_time = 40;
constexpr size_t at_ttl = 48;
constexpr size_t at_stale = 56;
constexpr size_t at_retained = 64;
constexpr size_t at_out_size = 72;
constexpr size_t at_err_size = 80;
constexpr size_t at_out_hash = 88;
constexpr size_t at_err_hash = 96;
constexpr size_t at_files_size = 104;
constexpr size_t at_files_hash = 112;
constexpr size_t at_token = 120;
constexpr size_t token_size = 32;
constexpr size_t at_pid = at_token + token_size;
constexpr size_t at_head_hash = at_pid +
                                8;  // of everything before the payload, last in the fixed part
static_assert(at_head_hash + 8 == fixed_part_size);

constexpr uint16_t flag_ttl_by_command = 1;
constexpr uint16_t flag_external = 2;
constexpr uint16_t flag_stale_by_command = 4;
// The kernel limits a command line (2 MiB by default, 6 MiB at most); tag, id and host add little.
constexpr uint32_t largest_names = 8U << 20;

template <typename Integer>
void put(std::string& to, size_t at, Integer value) {
  for (size_t i = 0; i < sizeof(Integer); ++i)
    to[at + i] = static_cast<char>(
        static_cast<unsigned char>(static_cast<uint64_t>(value) >> (8 * i)));
}

template <typename Integer>
Integer take(std::string_view from, size_t at) {
  uint64_t value = 0;
  for (size_t i = 0; i < sizeof(Integer); ++i)
    value |= static_cast<uint64_t>(static_cast<unsigned char>(from[at + i])) << (8 * i);
  return static_cast<Integer>(value);
}

void put_word(std::string& to, std::string_view word) {
  const size_t at = to.size();
  to.resize(at + 4);
  put(to, at, static_cast<uint32_t>(word.size()));
  to += word;
}

/// Reads the names part word by word. After an error every word is empty and `is_valid` is false.
class WordReader {
 public:
  explicit WordReader(std::string_view bytes) : rest_(bytes) {}

  std::string next() {
    if (rest_.size() < 4) return fail();
    const auto size = take<uint32_t>(rest_, 0);
    if (rest_.size() - 4 < size) return fail();
    std::string word(rest_.substr(4, size));
    rest_.remove_prefix(4 + size);
    return word;
  }
  [[nodiscard]] bool has_next() const { return !rest_.empty(); }
  [[nodiscard]] bool is_valid() const { return is_valid_; }

 private:
  std::string fail() {
    is_valid_ = false;
    rest_ = {};
    return {};
  }

  std::string_view rest_;
  bool is_valid_ = true;
};

/// The hash of the fixed part and the names, with 0 in place of the forgotten byte.
uint64_t head_hash(std::string_view head) {
  XXH3_state_t state;
  XXH3_64bits_reset(&state);
  const auto add = [&](std::string_view part) {
    XXH3_64bits_update(&state, part.data(), part.size());
  };
  add(head.substr(0, forgotten_offset));
  add(std::string_view("\0", 1));
  add(head.substr(forgotten_offset + 1, at_head_hash - forgotten_offset - 1));
  add(head.substr(fixed_part_size));
  return XXH3_64bits_digest(&state);
}

uint16_t flags_of(const Record& record) {
  unsigned flags = 0;
  if (record.ttl_by_command) flags |= flag_ttl_by_command;
  if (record.producer == Producer::external) flags |= flag_external;
  if (record.stale_by_command) flags |= flag_stale_by_command;
  return static_cast<uint16_t>(flags);
}

Nanoseconds take_time(std::string_view from, size_t at) {
  return Nanoseconds(take<int64_t>(from, at));
}

// Each of these functions decodes some fields, and returns false for values that memolock never
// writes. A correct hash does not exclude such values: any process that can write to the file can
// compute the hash.

bool decode_states(std::string_view head, Record& record) {
  const auto disposition = take<uint8_t>(head, at_disposition);
  const auto exit_kind = take<uint8_t>(head, at_exit_kind);
  const auto flags = take<uint16_t>(head, at_flags);
  record.disposition = static_cast<Disposition>(disposition);
  record.exit_kind = static_cast<ExitKind>(exit_kind);
  record.status = take<uint16_t>(head, at_status);
  record.ttl_by_command = (flags & flag_ttl_by_command) != 0;
  record.stale_by_command = (flags & flag_stale_by_command) != 0;
  if ((flags & flag_external) != 0) record.producer = Producer::external;
  record.transient_failures = take<uint32_t>(head, at_transient_failures);
  return disposition <= static_cast<uint8_t>(Disposition::marked) &&
         exit_kind <= static_cast<uint8_t>(ExitKind::timed_out);
}

bool decode_times(std::string_view head, Record& record) {
  record.begun = take_time(head, at_begun);
  record.ended = take_time(head, at_ended);
  record.run_time = take_time(head, at_run_time);
  record.ttl = take_time(head, at_ttl);
  record.stale = take_time(head, at_stale);
  record.retained = take_time(head, at_retained);
  return std::min({record.begun, record.ended, record.run_time, record.ttl, record.stale,
                   record.retained}) >= Nanoseconds(0);
}

bool decode_sizes(std::string_view head, Record& record) {
  // No file is that large, and the sum of several such sizes does not overflow.
  constexpr uint64_t largest = 1ULL << 60;
  record.out_size = take<uint64_t>(head, at_out_size);
  record.err_size = take<uint64_t>(head, at_err_size);
  record.out_hash = take<uint64_t>(head, at_out_hash);
  record.err_hash = take<uint64_t>(head, at_err_hash);
  record.files_size = take<uint64_t>(head, at_files_size);
  record.files_hash = take<uint64_t>(head, at_files_hash);
  return std::max({record.out_size, record.err_size, record.files_size}) <= largest;
}

bool decode_holder(std::string_view head, Record& record) {
  record.token = head.substr(at_token, token_size);
  record.holder.pid = take<int64_t>(head, at_pid);
  // The token becomes part of the names of files.
  return record.token.find_first_not_of("0123456789abcdefABCDEF") == std::string::npos;
}

bool decode_names(std::string_view names, Record& record) {
  WordReader words(names);
  record.key.tag = words.next();
  record.key.id = words.next();
  record.holder.host = words.next();
  record.artifacts = split_at_nul(words.next());
  while (words.has_next()) record.command.push_back(words.next());
  return words.is_valid();
}

}  // namespace

std::string_view describe_disposition(Disposition disposition) {
  if (disposition == Disposition::failed) return "the stored failure";
  if (disposition == Disposition::marked) return "the mark of once";
  return disposition == Disposition::kept ? "the stored entry" : "the result of the run";
}

struct Checksum::State : XXH3_state_t {};

std::string describe_too_large(uint64_t max_bytes) {
  return fmt::format("the entry is larger than --max-entry ({}); treated as a miss",
                     format_size(max_bytes));
}

Checksum::Checksum() : state_(new State) { XXH3_64bits_reset(state_); }
Checksum::~Checksum() { delete state_; }
Checksum::Checksum(Checksum&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
Checksum& Checksum::operator=(Checksum&& other) noexcept {
  std::swap(state_, other.state_);
  return *this;
}
void Checksum::add(std::string_view bytes) {
  XXH3_64bits_update(state_, bytes.data(), bytes.size());
}
uint64_t Checksum::value() const { return XXH3_64bits_digest(state_); }

uint64_t checksum(std::string_view bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

std::string join_with_nul(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += word + '\0';
  return text;
}

std::vector<std::string> split_at_nul(std::string_view text) {
  std::vector<std::string> words;
  for (size_t end = 0; (end = text.find('\0')) != std::string_view::npos;) {
    words.emplace_back(text.substr(0, end));
    text.remove_prefix(end + 1);
  }
  return words;
}

std::string encode(const Record& record) {
  std::string head(fixed_part_size, '\0');
  put_word(head, record.key.tag);
  put_word(head, record.key.id);
  put_word(head, record.holder.host);
  put_word(head, join_with_nul(record.artifacts));
  for (const std::string& word : record.command) put_word(head, word);

  head.replace(0, magic.size(), magic);
  put(head, at_version, version);
  put(head, at_disposition, static_cast<uint8_t>(record.disposition));
  put(head, at_exit_kind, static_cast<uint8_t>(record.exit_kind));
  put(head, at_status, static_cast<uint16_t>(record.status));
  put(head, at_flags, flags_of(record));
  put(head, at_transient_failures, record.transient_failures);
  put(head, at_names_size, static_cast<uint32_t>(head.size() - fixed_part_size));
  put(head, at_begun, record.begun.count());
  put(head, at_ended, record.ended.count());
  put(head, at_run_time, record.run_time.count());
  put(head, at_ttl, record.ttl.count());
  put(head, at_stale, record.stale.count());
  put(head, at_retained, record.retained.count());
  put(head, at_out_size, record.out_size);
  put(head, at_err_size, record.err_size);
  put(head, at_out_hash, record.out_hash);
  put(head, at_err_hash, record.err_hash);
  put(head, at_files_size, record.files_size);
  put(head, at_files_hash, record.files_hash);
  head.replace(at_token, token_size, record.token);
  put(head, at_pid, record.holder.pid);
  put(head, at_head_hash, head_hash(head));
  return head;
}

bool has_magic(std::string_view bytes) { return bytes.starts_with(magic); }

std::optional<uint64_t> payload_offset(std::string_view bytes) {
  if (bytes.size() < fixed_part_size || !has_magic(bytes)) return std::nullopt;
  if (take<uint8_t>(bytes, at_version) != version) return std::nullopt;
  const auto names_size = take<uint32_t>(bytes, at_names_size);
  if (names_size > largest_names) return std::nullopt;
  return fixed_part_size + names_size;
}

std::optional<Record> decode(std::string_view bytes) {
  const auto head_size = payload_offset(bytes);
  if (!head_size || bytes.size() < *head_size) return std::nullopt;
  const std::string_view head = bytes.substr(0, *head_size);
  if (take<uint64_t>(head, at_head_hash) != head_hash(head)) return std::nullopt;
  Record record;
  if (!decode_states(head, record) || !decode_times(head, record) || !decode_sizes(head, record) ||
      !decode_holder(head, record) || !decode_names(head.substr(fixed_part_size), record))
    return std::nullopt;
  return record;
}

}  // namespace memolock
