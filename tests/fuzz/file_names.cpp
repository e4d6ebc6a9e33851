// Harness: converts keys to the names of files in a local store, and back.
#include "src/store/file_names.hpp"

#include "src/redis/names.hpp"
#include "tests/fuzz/harness.hpp"

namespace memolock::fuzz {
namespace {

void look_at(const EntryFileNames& files, const std::string& name, FileKind kind) {
  require(kind_of_file(name) == kind, "the name of a file determines its kind");
  require(EntryFileNames(files.directory, name).entry == files.entry, "and its entry");
  require(name.size() <= 255 && name.find('/') == std::string::npos && name.front() != '.',
          "and is one of a visible file");
  require_printable(name);
}

/// The input is TAG:ID, or any name in a directory.
const Harness file_names("file_names", [](std::string_view text) {
  (void)kind_of_file(text);
  const auto key = parse_redis_name(text, BracedId::no);
  if (!key) return;
  const EntryFileNames files(*key);
  const std::string token(32, 'a');
  look_at(files, files.entry, FileKind::entry);
  look_at(files, files.failed, FileKind::failed);
  look_at(files, files.mark, FileKind::mark);
  look_at(files, files.lock, FileKind::lock);
  look_at(files, files.run, FileKind::run);
  look_at(files, files.wake, FileKind::wake);
  look_at(files, files.promise, FileKind::promise);
  look_at(files, files.answer(token), FileKind::answer);
  require_printable(key->shown());
});

}  // namespace
}  // namespace memolock::fuzz
