#include "src/key.hpp"

#include <sodium/crypto_generichash_blake2b.h>
#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <utility>

#include <fmt/format.h>

#include "src/error.hpp"
#include "src/percent.hpp"

namespace memolock {
namespace {

constexpr size_t longest_id = 1024;
constexpr size_t longest_tag = 1024;
// A file name has 255 bytes; the longest ending and the mark of a hash must fit beside this.
constexpr size_t longest_stem = 200;
constexpr size_t hash_bytes = 16;

struct Ending {
  FileKind kind;
  std::string_view text;
};
// A dot in an id stays as it is, so a name's kind is told by its last ending alone. Longer endings
// stand first.
constexpr std::array<Ending, 5> endings{{
    {FileKind::new_run, ".new-run"},
    {FileKind::entry, ".entry"},
    {FileKind::lock, ".lock"},
    {FileKind::run, ".run"},
    {FileKind::control, ".control"},
}};

std::string_view ending_of(FileKind kind) {
  const auto* found = std::find_if(endings.begin(), endings.end(),
                                   [&](const Ending& e) { return e.kind == kind; });
  return found->text;
}

/// BLAKE2b over a sequence of words, each behind its length, so that ("ab", "c") and ("a", "bc")
/// differ.
class Hash {
 public:
  Hash() { crypto_generichash_blake2b_init(&state_, nullptr, 0, hash_bytes); }

  void add(std::string_view word) {
    std::array<unsigned char, 8> length{};
    for (size_t i = 0; i < length.size(); ++i)
      length.at(i) = static_cast<unsigned char>(static_cast<uint64_t>(word.size()) >> (8 * i));
    crypto_generichash_blake2b_update(&state_, length.data(), length.size());
    crypto_generichash_blake2b_update(&state_, reinterpret_cast<const unsigned char*>(word.data()),
                                      word.size());
  }

  std::string finish() {
    std::array<unsigned char, hash_bytes> digest{};
    crypto_generichash_blake2b_final(&state_, digest.data(), digest.size());
    return hex(digest.data(), digest.size());
  }

 private:
  crypto_generichash_blake2b_state state_{};
};

/// A file name's part: escaped, never hidden, "." or "..", and hashed past its length ('~' is
/// escaped elsewhere).
std::string file_stem(std::string_view text) {
  std::string stem = percent_escape(text);
  if (stem.front() == '.') stem.replace(0, 1, "%2e");
  if (stem.size() <= longest_stem) return stem;
  Hash hash;
  hash.add(text);
  return stem.substr(0, longest_stem - 2 * hash_bytes - 1) + '~' + hash.finish();
}

/// The length of the printable UTF-8 character at the front of `text`, 0 when there is none.
size_t printable_length(std::string_view text) {
  const auto byte = [&](size_t at) { return static_cast<unsigned char>(text[at]); };
  if (byte(0) < 0x80) return byte(0) >= 0x20 && byte(0) != 0x7f ? 1 : 0;
  size_t length = 0;
  if (byte(0) >= 0xc2 && byte(0) <= 0xdf) length = 2;
  if (byte(0) >= 0xe0 && byte(0) <= 0xef) length = 3;
  if (byte(0) >= 0xf0 && byte(0) <= 0xf4) length = 4;
  if (length == 0 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i)
    if ((byte(i) & 0xc0U) != 0x80) return 0;
  // U+0080 to U+009F are the C1 controls; overlong forms, surrogates and what lies past U+10FFFF
  // are no characters; and U+202A to U+202E and U+2066 to U+2069 turn the direction of what
  // follows.
  const uint32_t second = byte(1);
  if (byte(0) == 0xc2 && second < 0xa0) return 0;
  if ((byte(0) == 0xe0 && second < 0xa0) || (byte(0) == 0xed && second >= 0xa0)) return 0;
  if ((byte(0) == 0xf0 && second < 0x90) || (byte(0) == 0xf4 && second >= 0x90)) return 0;
  if (byte(0) == 0xe2 && second == 0x80 && byte(2) >= 0xaa && byte(2) <= 0xae) return 0;
  if (byte(0) == 0xe2 && second == 0x81 && byte(2) >= 0xa6 && byte(2) <= 0xa9) return 0;
  return length;
}

}  // namespace

std::string Key::shown() const { return escape_controls(tag + ':' + id); }

std::optional<std::string> fault_of_tag(std::string_view tag) {
  if (tag.empty()) return "is empty";
  if (tag.size() > longest_tag) return "is longer than 1024 bytes";
  for (const char c : tag) {
    if (c == ':' || c == '{' || c == '}') return fmt::format("may hold no '{}'", c);
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return "may hold no control characters";
  }
  // The endings by which the Redis keys of one entry differ.
  static constexpr std::array<std::string_view, 7> reserved{"/lock", "/notif", "/meta", "/files",
                                                            "/run",  "/part",  "/fail"};
  for (const std::string_view ending : reserved)
    if (tag.ends_with(ending)) return fmt::format("may not end in '{}'", ending);
  return std::nullopt;
}

std::optional<std::string> fault_of_id(std::string_view id) {
  if (id.empty()) return "is empty";
  if (id.size() > longest_id) return "is longer than 1024 bytes";
  return std::nullopt;
}

std::string derive_id(const std::vector<std::string>& command, std::string_view directory) {
  Hash hash;
  hash.add("memolock id 1");
  hash.add(std::to_string(command.size()));
  for (const std::string& word : command) hash.add(word);
  hash.add(directory);

  std::string_view name = command.front();
  if (const size_t slash = name.rfind('/'); slash != std::string_view::npos)
    name.remove_prefix(slash + 1);
  constexpr size_t longest_name = 32;
  std::string id;
  for (const char c : name.substr(0, longest_name)) id += is_unreserved(c) ? c : '_';
  return id + '-' + hash.finish();
}

std::string escape_controls(std::string_view text) {
  std::string escaped;
  while (!text.empty()) {
    size_t length = printable_length(text);
    if (length > 0) {
      escaped += text.substr(0, length);
    } else {
      length = 1;
      const char c = text.front();
      const auto byte = static_cast<unsigned char>(c);
      if (c == '\n') {
        escaped += "\\n";
      } else if (c == '\t') {
        escaped += "\\t";
      } else {
        escaped += "\\x" + hex(&byte, 1);
      }
    }
    text.remove_prefix(length);
  }
  return escaped;
}

std::string new_token() {
  std::array<unsigned char, 16> bytes{};
  if (getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
    throw system_error("cannot get random bytes", errno);
  return hex(bytes.data(), bytes.size());
}

std::vector<HeldLock> parse_held(std::string_view text) {
  std::vector<HeldLock> held;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(word.size() + 1, text.size()));
    const size_t colon = word.find(':');
    const size_t equals = word.find('=');
    if (colon == std::string_view::npos || equals == std::string_view::npos || equals < colon)
      continue;
    auto tag = percent_unescape(word.substr(0, colon));
    auto id = percent_unescape(word.substr(colon + 1, equals - colon - 1));
    if (tag && id)
      held.push_back({{std::move(*tag), std::move(*id)}, std::string(word.substr(equals + 1))});
  }
  return held;
}

std::string format_held(const std::vector<HeldLock>& held) {
  std::string text;
  for (const HeldLock& lock : held) {
    if (!text.empty()) text += ' ';
    text += percent_escape(lock.key.tag) + ':' + percent_escape(lock.key.id) + '=' + lock.token;
  }
  return text;
}

EntryFiles::EntryFiles(const Key& key) : folder(file_stem(key.tag)), stem_(file_stem(key.id)) {
  name_all();
}

EntryFiles::EntryFiles(std::string in, std::string_view name)
    : folder(std::move(in)),
      stem_(name.substr(0, name.size() - ending_of(kind_of_file(name)).size())) {
  name_all();
}

void EntryFiles::name_all() {
  const auto named = [&](FileKind kind) { return stem_ + std::string(ending_of(kind)); };
  entry = named(FileKind::entry);
  lock = named(FileKind::lock);
  run = named(FileKind::run);
  new_run = named(FileKind::new_run);
}

std::string EntryFiles::control(std::string_view token) const {
  return fmt::format("{}.{}{}", stem_, token, ending_of(FileKind::control));
}

FileKind kind_of_file(std::string_view name) {
  for (const Ending& ending : endings)
    if (name.size() > ending.text.size() && name.ends_with(ending.text)) return ending.kind;
  return FileKind::foreign;
}

}  // namespace memolock
