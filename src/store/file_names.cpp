#include "src/store/file_names.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "src/system/anonymous_file.hpp"
#include "src/system/hash.hpp"
#include "src/system/percent.hpp"

namespace memolock {
namespace {

// A file name has at most 255 bytes: the stem and the longest ending, with a token, must fit.
constexpr size_t max_stem_size = 200;
constexpr size_t hash_bytes = 16;
constexpr size_t digest_bytes = 32;

struct Ending {
  FileKind kind;
  std::string_view text;
};
// A dot in an id is not escaped, so only the last ending of a name determines its kind.
constexpr auto endings = std::to_array<Ending>({
    {FileKind::entry, ".entry"},
    {FileKind::failed, ".failed"},
    {FileKind::mark, ".mark"},
    {FileKind::lock, ".lock"},
    {FileKind::run, ".run"},
    {FileKind::wake, ".wake"},
    {FileKind::promise, ".promise"},
    {FileKind::answer, ".answer"},
    {FileKind::spool, anonymous_suffix},
});
constexpr std::string_view counters_ending = ".counts";
// Bytes of a token in a file name.
constexpr size_t token_size = 32;

std::string_view ending_of(FileKind kind) {
  const auto* found = std::find_if(endings.begin(), endings.end(),
                                   [&](const Ending& e) { return e.kind == kind; });
  return found->text;
}

/// A tag or an id as part of a file name. It is percent-escaped and never begins with a dot. If it
/// is too long, it is cut and ends with '~' and a hash; this cannot be confused with another name,
/// because a '~' in a tag or an id is escaped.
std::string file_stem(std::string_view text) {
  std::string stem = percent_escape(text);
  if (stem.front() == '.') stem.replace(0, 1, "%2e");
  if (stem.size() <= max_stem_size) return stem;
  Hash hash(hash_bytes);
  hash.add(text);
  return stem.substr(0, max_stem_size - 2 * hash_bytes - 1) + '~' + hash.finish();
}

/// A file's name without its ending and, for an answer, without the token of its run.
std::string stem_of(std::string_view name) {
  const FileKind kind = kind_of_file(name);
  name.remove_suffix(ending_of(kind).size());
  if (kind == FileKind::answer && name.size() > token_size + 1) name.remove_suffix(token_size + 1);
  return std::string(name);
}

}  // namespace

EntryFileNames::EntryFileNames(const Key& key)
    : directory(file_stem(key.tag)), stem_(file_stem(key.id)) {
  set_names();
}

EntryFileNames::EntryFileNames(std::string in_directory, std::string_view name)
    : directory(std::move(in_directory)), stem_(stem_of(name)) {
  set_names();
}

void EntryFileNames::set_names() {
  const auto with_ending = [&](FileKind kind) { return stem_ + std::string(ending_of(kind)); };
  entry = with_ending(FileKind::entry);
  failed = with_ending(FileKind::failed);
  mark = with_ending(FileKind::mark);
  lock = with_ending(FileKind::lock);
  run = with_ending(FileKind::run);
  wake = with_ending(FileKind::wake);
  promise = with_ending(FileKind::promise);
}

std::string EntryFileNames::answer(std::string_view token) const {
  return fmt::format("{}.{}{}", stem_, token, ending_of(FileKind::answer));
}

std::string counters_file(std::string_view tag) {
  return file_stem(tag) + std::string(counters_ending);
}

std::string slots_file(std::string_view nodes) {
  Hash hash(digest_bytes);
  hash.add(nodes);
  return hash.finish() + ".slots";
}

FileKind kind_of_file(std::string_view name) {
  for (const Ending& ending : endings)
    if (name.size() > ending.text.size() && name.ends_with(ending.text)) return ending.kind;
  return FileKind::foreign;
}

}  // namespace memolock
