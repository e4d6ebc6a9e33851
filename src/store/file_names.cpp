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

// A file name has 255 bytes; the longest ending and the mark of a hash must fit beside this.
constexpr size_t longest_stem = 200;
constexpr size_t hash_bytes = 16;
constexpr size_t digest_bytes = 32;

struct Ending {
  FileKind kind;
  std::string_view text;
};
// A dot in an id stays as it is, so a name's kind is told by its last ending alone.
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
// Of a token in the name of a file.
constexpr size_t token_length = 32;

std::string_view ending_of(FileKind kind) {
  const auto* found = std::find_if(endings.begin(), endings.end(),
                                   [&](const Ending& e) { return e.kind == kind; });
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

}  // namespace

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
