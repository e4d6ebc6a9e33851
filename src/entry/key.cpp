#include "src/entry/key.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

#include <fmt/format.h>

#include "src/system/anonymous_file.hpp"
#include "src/system/hash.hpp"
#include "src/system/percent.hpp"

namespace memolock {
namespace {

constexpr size_t longest_id = 1024;
constexpr size_t longest_tag = 1024;
// A file name has 255 bytes; the longest ending and the mark of a hash must fit beside this.
constexpr size_t longest_stem = 200;
constexpr size_t hash_bytes = 16;
constexpr size_t digest_bytes = 32;

struct RunResult {
  FileKind kind;
  std::string_view text;
};
// A dot in an id stays as it is, so a name's kind is told by its last ending alone.
constexpr auto endings = std::to_array<RunResult>({
    {FileKind::entry, ".entry"},
    {FileKind::failed, ".failed"},
    {FileKind::mark, ".mark"},
    {FileKind::lock, ".lock"},
    {FileKind::run, ".run"},
    {FileKind::wake, ".wake"},
    {FileKind::promise, ".promise"},
    {FileKind::answer, ".answer"},
    {FileKind::spool, anonymous_ending},
});
constexpr std::string_view counters_ending = ".counts";
// Of a token in the name of a file.
constexpr size_t token_length = 32;

std::string_view ending_of(FileKind kind) {
  const auto* found = std::find_if(endings.begin(), endings.end(),
                                   [&](const RunResult& e) { return e.kind == kind; });
  return found->text;
}

/// A file name's part: escaped, never hidden, "." or "..", and hashed past its length ('~' is
/// escaped elsewhere).
std::string file_stem(std::string_view text) {
  std::string stem = percent_escape(text);
  if (stem.front() == '.') stem.replace(0, 1, "%2e");
  if (stem.size() <= longest_stem) return stem;
  Hash hash(hash_bytes);
  hash.add(text);
  return stem.substr(0, longest_stem - 2 * hash_bytes - 1) + '~' + hash.finish();
}

/// What a file's name has before its ending, and before the token of a run that it may have.
std::string stem_of(std::string_view name) {
  const FileKind kind = kind_of_file(name);
  name.remove_suffix(ending_of(kind).size());
  if (kind == FileKind::answer && name.size() > token_length + 1)
    name.remove_suffix(token_length + 1);
  return std::string(name);
}

struct Range {
  uint32_t first, last;
};

// Characters that show nothing, so that two names would look alike, or that rearrange what stands
// around them: the C1 controls, Unicode's Default_Ignorable_Code_Point (all of it, also what joins
// letters or emoji), the separators of lines, and the marks of annotations.
constexpr std::array<Range, 18> unseen{{{0x80, 0x9f},

                                        {0xad, 0xad},
                                        {0x34f, 0x34f},
                                        {0x61c, 0x61c},
                                        {0x115f, 0x1160},
                                        {0x17b4, 0x17b5},
                                        {0x180b, 0x180f},
                                        {0x200b, 0x200f},
                                        {0x2028, 0x202e},
                                        {0x2060, 0x206f},
                                        {0x3164, 0x3164},
                                        {0xfe00, 0xfe0f},
                                        {0xfeff, 0xfeff},
                                        {0xffa0, 0xffa0},
                                        {0xfff0, 0xfffb},
                                        {0x1bca0, 0x1bca3},
                                        {0x1d173, 0x1d17a},
                                        {0xe0000, 0xe0fff}}};

bool is_seen(uint32_t character) {
  return std::none_of(unseen.begin(), unseen.end(), [&](const Range& range) {
    return range.first <= character && character <= range.last;
  });
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
  uint32_t character = byte(0) & (0x7fU >> length);
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0U) != 0x80) return 0;
    character = (character << 6U) | (byte(i) & 0x3fU);
  }
  // Overlong forms, surrogates and what lies past U+10FFFF are no characters.
  const uint32_t second = byte(1);
  if ((byte(0) == 0xe0 && second < 0xa0) || (byte(0) == 0xed && second >= 0xa0)) return 0;
  if ((byte(0) == 0xf0 && second < 0x90) || (byte(0) == 0xf4 && second >= 0x90)) return 0;
  return is_seen(character) ? length : 0;
}

std::string braced(const std::string& id) {
  const bool has_own = hashed_part(id).size() < id.size();
  return has_own ? id : '{' + id + '}';
}

/// The id that one of a cluster stands for.
std::string unbraced(const std::string& id) {
  if (!id.starts_with('{') || !id.ends_with('}') || id.size() < 3) return id;
  std::string inner = id.substr(1, id.size() - 2);
  return braced(inner) == id && !check_id_in_cluster(inner) ? inner : id;
}

constexpr std::string_view lock_ending = "/lock";
constexpr std::string_view notif_ending = "/notif";
constexpr std::string_view meta_ending = "/meta";
constexpr std::string_view files_ending = "/files";
constexpr std::string_view run_ending = "/run";
constexpr std::string_view part_ending = "/part";
constexpr std::string_view fail_ending = "/fail";
constexpr std::string_view mark_ending("\0mark", 5);

}  // namespace

std::string Key::shown() const { return escape_controls(id.empty() ? tag : tag + ':' + id); }

std::optional<std::string> check_tag(std::string_view tag) {
  if (tag.empty()) return "is empty";
  if (tag.size() > longest_tag) return "is longer than 1024 bytes";
  for (const char c : tag) {
    if (c == ':' || c == '{' || c == '}') return fmt::format("may hold no '{}'", c);
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return "may hold no control characters";
  }
  // The endings by which the Redis keys of one entry differ.
  static constexpr std::array<std::string_view, 7> reserved{
      lock_ending, notif_ending, meta_ending, files_ending, run_ending, part_ending, fail_ending};
  for (const std::string_view ending : reserved)
    if (tag.ends_with(ending)) return fmt::format("may not end in '{}'", ending);
  return std::nullopt;
}

std::optional<std::string> check_id(std::string_view id) {
  if (id.empty()) return "is empty";
  if (id.size() > longest_id) return "is longer than 1024 bytes";
  return std::nullopt;
}

std::string digest_of(const std::vector<std::string_view>& words) {
  Hash hash(digest_bytes);
  for (const std::string_view word : words) hash.add(word);
  return hash.finish();
}

std::string id_stem(std::string_view command) {
  if (const size_t slash = command.rfind('/'); slash != std::string_view::npos)
    command.remove_prefix(slash + 1);
  constexpr size_t longest_name = 32;
  std::string stem;
  for (const char c : command.substr(0, longest_name)) stem += is_unreserved(c) ? c : '_';
  return stem;
}

std::string derive_id(std::string_view stem, const std::vector<KeyPart>& parts) {
  Hash hash(hash_bytes);
  hash.add("memolock id 2");
  for (const KeyPart& part : parts) {
    hash.add(part.kind);
    hash.add(part.digest);
  }
  // Not by fmt, whose code a hit does not need otherwise.
  std::string id(cut_to(stem, longest_id - 2 * hash_bytes - 1));
  id += '-';
  return id += hash.finish();
}

std::string_view cut_to(std::string_view text, size_t longest) {
  if (text.size() <= longest) return text;
  size_t length = longest;
  while (length > 0 && (static_cast<unsigned char>(text[length]) & 0xc0U) == 0x80) --length;
  return text.substr(0, length);
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

EntryFileNames::EntryFileNames(const Key& key)
    : folder(file_stem(key.tag)), stem_(file_stem(key.id)) {
  name_all();
}

EntryFileNames::EntryFileNames(std::string in, std::string_view name)
    : folder(std::move(in)), stem_(stem_of(name)) {
  name_all();
}

void EntryFileNames::name_all() {
  const auto named = [&](FileKind kind) { return stem_ + std::string(ending_of(kind)); };
  entry = named(FileKind::entry);
  failed = named(FileKind::failed);
  mark = named(FileKind::mark);
  lock = named(FileKind::lock);
  run = named(FileKind::run);
  wake = named(FileKind::wake);
  promise = named(FileKind::promise);
}

std::string EntryFileNames::answer(std::string_view token) const {
  return fmt::format("{}.{}{}", stem_, token, ending_of(FileKind::answer));
}

std::string counters_file(std::string_view tag) {
  return file_stem(tag) + std::string(counters_ending);
}

std::string slots_file(std::string_view nodes) { return digest_of({nodes}) + ".slots"; }

FileKind kind_of_file(std::string_view name) {
  for (const RunResult& ending : endings)
    if (name.size() > ending.text.size() && name.ends_with(ending.text)) return ending.kind;
  return FileKind::foreign;
}

std::string_view hashed_part(std::string_view name) {
  const size_t open = name.find('{');
  if (open == std::string_view::npos) return name;
  const size_t close = name.find('}', open);
  if (close == std::string_view::npos || close == open + 1) return name;
  return name.substr(open + 1, close - open - 1);
}

std::optional<std::string> check_id_in_cluster(std::string_view id) {
  if (id.starts_with('}')) return "may not begin with '}' on a cluster";
  return std::nullopt;
}

RedisNames::RedisNames(const Key& key, Brace brace) {
  const std::string id = brace == Brace::yes ? braced(key.id) : key.id;
  const auto named = [&](std::string_view ending) {
    return fmt::format("{}{}:{}", key.tag, ending, id);
  };
  value = named("");
  lock = named(lock_ending);
  notif = named(notif_ending);
  meta = named(meta_ending);
  files = named(files_ending);
  run = named(run_ending);
  part = named(part_ending);
  // An id holds no NUL, so these are no other entry's names; but they are of the same slot of a
  // cluster, and an ACL that allows the one allows the other.
  files_part = part + '\0' + "files";
  mark = run + std::string(mark_ending);
  fail = named(fail_ending);
}

std::string glob_of(std::string_view tag) {
  std::string pattern;
  for (const char c : tag) {
    if (std::string_view("*?[]\\").find(c) != std::string_view::npos) pattern += '\\';
    pattern += c;
  }
  return pattern;
}

std::string redis_pattern(const std::optional<std::string>& tag) {
  if (!tag) return "*/[mlr][eou][tcn]*:*";
  return glob_of(*tag) + "[:/]*";
}

std::optional<Key> key_of_redis_name(std::string_view name, Brace brace) {
  const size_t colon = name.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  if (name.ends_with(mark_ending)) name.remove_suffix(mark_ending.size());
  std::string_view tag = name.substr(0, colon);
  for (const std::string_view ending : {lock_ending, meta_ending, run_ending}) {
    if (tag.size() <= ending.size() || !tag.ends_with(ending)) continue;
    tag.remove_suffix(ending.size());
    break;
  }
  Key key{std::string(tag), std::string(name.substr(colon + 1))};
  if (brace == Brace::yes) key.id = unbraced(key.id);
  if (check_tag(key.tag) || check_id(key.id)) return std::nullopt;
  return key;
}

}  // namespace memolock
