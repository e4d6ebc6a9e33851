#include "src/redis_store/entry.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>

#include <fmt/format.h>

#include "src/entry/token.hpp"
#include "src/redis_store/scripts.hpp"
#include "src/system/anonymous_file.hpp"
#include "src/system/descriptor.hpp"
#include "src/system/error.hpp"

namespace memolock {
namespace {

constexpr std::string_view version = "1";

// In the order in which read_record_command() asks for the values.
enum Field : size_t {
  at_version,
  at_token,
  at_end,
  at_status,
  at_begun,
  at_ended,
  at_run,
  at_ttl,
  at_stale,
  at_retained,
  at_own_ttl,
  at_own_stale,
  at_host,
  at_pid,
  at_length,
  at_hash,
  at_err_length,
  at_err_hash,
  at_fate,
  at_troubles,
  at_artifacts,
  at_files_length,
  at_files_hash,
  at_stderr,
};
constexpr std::array<const char*, 24> names{
    "version", "token",    "end",       "status",       "begun",      "ended",
    "run",     "ttl",      "stale",     "retained",     "own_ttl",    "own_stale",
    "host",    "pid",      "length",    "hash",         "err_length", "err_hash",
    "fate",    "troubles", "artifacts", "files_length", "files_hash", "stderr"};

/// Decodes the values of a hash, and notes whether all of them were valid.
class ValueReader {
 public:
  explicit ValueReader(std::span<const RedisReply, at_stderr> values) : values_(values) {}

  /// The text of a value; empty if it is missing or too long to be valid.
  const std::string& text(Field field) {
    static const std::string none;
    const RedisReply& value = values_[field];
    if (value.has_text() || value.is_nil()) return value.text_or_empty();
    (void)value.string();
    is_valid_ = false;
    return none;
  }

  template <typename Number>
  Number number(Field field, int base = 10) {
    const std::string& digits = text(field);
    Number value{};
    const char* const end = digits.data() + digits.size();
    const auto [rest, error] = std::from_chars(digits.data(), end, value, base);
    is_valid_ = is_valid_ && error == std::errc() && rest == end;
    return value;
  }

  Nanoseconds time(Field field) {
    const auto value = number<int64_t>(field);
    constexpr int64_t most = std::chrono::duration_cast<std::chrono::microseconds>(forever).count();
    is_valid_ = is_valid_ && value >= -1 && value <= most;
    return value == -1 ? forever : std::chrono::microseconds(is_valid_ ? value : 0);
  }

  /// A value of an enum whose last enumerator is `last`.
  template <typename Enum>
  Enum choice(Field field, Enum last) {
    const auto value = number<unsigned>(field);
    is_valid_ = is_valid_ && value <= static_cast<unsigned>(last);
    return static_cast<Enum>(is_valid_ ? value : 0);
  }

  [[nodiscard]] bool is_valid() const { return is_valid_; }

 private:
  std::span<const RedisReply, at_stderr> values_;
  bool is_valid_ = true;
};

bool is(const RedisString& bytes, uint64_t size, uint64_t hash) {
  return bytes.size == size && bytes.hash == hash;
}

int write_string(const RedisString& string, int to) noexcept {
  if (string.size == 0) return 0;
  return string.file ? copy_range(string.file.get(), 0, string.size, to)
                     : write_all(to, string.text);
}

}  // namespace

std::string in_microseconds(Nanoseconds length) {
  if (length == forever) return "-1";
  return std::to_string(std::chrono::duration_cast<std::chrono::microseconds>(length).count());
}

std::string in_milliseconds(Nanoseconds length) {
  const auto whole = std::chrono::duration_cast<std::chrono::milliseconds>(length);
  return std::to_string(std::max<int64_t>(whole.count(), 1));
}

std::string describe_foreign_type(const Key& key) {
  return "a key of " + key.shown() + " has an unexpected type";
}

std::string disposition_field(Disposition disposition) {
  return std::to_string(static_cast<unsigned>(disposition));
}

std::vector<std::string> record_fields(const Record& record) {
  std::vector<std::string> fields;
  const auto add = [&](Field field, std::string value) {
    fields.emplace_back(names.at(field));
    fields.push_back(std::move(value));
  };
  add(at_version, std::string(version));
  add(at_token, record.token);
  add(at_end, std::to_string(static_cast<unsigned>(record.exit_kind)));
  add(at_status, std::to_string(record.status));
  add(at_begun, in_microseconds(record.begun));
  add(at_run, in_microseconds(record.run_time));
  add(at_ttl, in_microseconds(record.ttl));
  add(at_stale, in_microseconds(record.stale));
  add(at_retained, in_microseconds(record.retained));
  add(at_own_ttl, record.ttl_by_command ? "1" : "0");
  add(at_own_stale, record.stale_by_command ? "1" : "0");
  add(at_host, record.holder.host);
  add(at_pid, std::to_string(record.holder.pid));
  add(at_length, std::to_string(record.out_size));
  add(at_hash, fmt::format("{:016x}", record.out_hash));
  add(at_err_length, std::to_string(record.err_size));
  add(at_err_hash, fmt::format("{:016x}", record.err_hash));
  add(at_fate, disposition_field(record.disposition));
  add(at_troubles, std::to_string(record.transient_failures));
  if (record.files_size == 0) return fields;
  add(at_artifacts, join_with_nul(record.artifacts));
  add(at_files_length, std::to_string(record.files_size));
  add(at_files_hash, fmt::format("{:016x}", record.files_hash));
  return fields;
}

std::vector<RedisArgument> read_record_command(const std::string& name, WithStderr with) {
  std::vector<RedisArgument> command{"HMGET", name};
  command.insert(command.end(), names.begin(), names.end());
  if (with == WithStderr::no) command.pop_back();
  return command;
}

RedisRecordHash::RedisRecordHash(RedisReply reply, WithStderr with)
    : values_(reply.take_elements(with == WithStderr::yes ? at_stderr + 1 : at_stderr)) {}

const std::string& RedisRecordHash::token() const { return values_[at_token].text_or_empty(); }

std::optional<RedisString> RedisRecordHash::take_err() { return values_.back().take_string(); }

std::optional<Record> RedisRecordHash::record(const Key& key) const {
  ValueReader from{std::span<const RedisReply>(values_).first<at_stderr>()};
  if (from.text(at_version) != version) return std::nullopt;
  Record record;
  record.key = key;
  record.token = from.text(at_token);
  record.holder = {from.text(at_host), from.number<int64_t>(at_pid)};
  record.disposition = from.choice(at_fate, Disposition::marked);
  record.exit_kind = from.choice(at_end, ExitKind::timed_out);
  record.status = from.number<int>(at_status) & 0xff;
  record.ttl_by_command = from.text(at_own_ttl) == "1";
  record.stale_by_command = from.text(at_own_stale) == "1";
  record.transient_failures = from.number<uint32_t>(at_troubles);
  record.begun = from.time(at_begun);
  record.ended = from.time(at_ended);
  record.run_time = from.time(at_run);
  record.ttl = from.time(at_ttl);
  record.stale = from.time(at_stale);
  record.retained = from.time(at_retained);
  constexpr int hexadecimal = 16;
  record.out_size = from.number<uint64_t>(at_length);
  record.out_hash = from.number<uint64_t>(at_hash, hexadecimal);
  record.err_size = from.number<uint64_t>(at_err_length);
  record.err_hash = from.number<uint64_t>(at_err_hash, hexadecimal);
  if (!from.text(at_files_length).empty()) {
    record.artifacts = split_at_nul(from.text(at_artifacts));
    record.files_size = from.number<uint64_t>(at_files_length);
    record.files_hash = from.number<uint64_t>(at_files_hash, hexadecimal);
  }
  if (!from.is_valid()) return std::nullopt;
  return record;
}

int64_t read_pttl(const RedisReply& reply) {
  constexpr int64_t most = std::chrono::duration_cast<std::chrono::milliseconds>(forever).count();
  if (reply.integer() < -2) reply.throw_unexpected();
  return std::min(reply.integer(), most);
}

Nanoseconds lifetime_of_pttl(int64_t pttl) {
  return pttl < 0 ? forever : std::chrono::milliseconds(pttl);
}

Record foreign_record(const Key& key, int64_t pttl) {
  Record record;
  record.disposition = Disposition::kept;
  record.foreign = true;
  record.key = key;
  record.ttl = record.retained = lifetime_of_pttl(pttl);
  return record;
}

std::string read_lock_holder(const RedisReply& lock) {
  if (lock.is_nil() || lock.is_text(redis_scripts::released_marker)) return "";
  // The value of a foreign lock may be too long for a token; then its hash identifies it.
  return lock.has_text() ? lock.text() : fmt::format("{:016x}", lock.string().hash);
}

Record run_of_token(const Key& key, const std::string& token) {
  Record run;
  run.key = key;
  run.token = token;
  const auto parts = parse_token(token);
  run.foreign = !parts;
  if (parts) {
    run.holder = parts->holder;
    run.begun = parts->begun;
  }
  run.producer = parts ? parts->producer : Producer::external;
  return run;
}

void StoredVersion::note_failure(const RedisReply& outcome) {
  const auto [token, disposition] = outcome.array<2>();
  if (disposition->text_or_empty() == disposition_field(Disposition::failed))
    failure = token->text_or_empty();
}

std::unique_ptr<RedisEntry> RedisEntry::from_own_hash(const Key& key, RedisRecordHash& hash,
                                                      RedisString& out, RedisString files) {
  auto record = hash.record(key);
  if (!record || !is(out, record->out_size, record->out_hash)) return nullptr;
  auto err = hash.take_err();
  if (!err || !is(*err, record->err_size, record->err_hash)) return nullptr;
  return std::make_unique<RedisEntry>(std::move(*record), std::move(out), std::move(*err),
                                      std::move(files));
}

std::optional<FileRange> RedisEntry::files() {
  if (record_.files_size == 0 || !is(files_, record_.files_size, record_.files_hash))
    return std::nullopt;
  if (!files_.file) {
    files_.file = temporary_file();
    const int error = files_.file ? write_all_at(files_.file.get(), files_.text, 0) : errno;
    if (error != 0) throw system_error("cannot write to a temporary file in TMPDIR or /tmp", error);
  }
  return FileRange{files_.file.get(), 0, files_.size};
}

int RedisEntry::write(Stream stream, int to) noexcept {
  return write_string(stream == Stream::err ? err_ : out_, to);
}

}  // namespace memolock
