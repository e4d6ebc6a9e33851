#include "tests/fuzz/harness.hpp"

#include <unistd.h>

#include <cstdlib>
#include <string>

#include "src/system/descriptor.hpp"
#include "src/system/random.hpp"
#include "src/system/text.hpp"

namespace memolock::fuzz {
namespace {

std::map<std::string_view, Feed>& table() {
  static std::map<std::string_view, Feed> all;
  return all;
}

struct Scratch {
  Scratch() { std::filesystem::create_directory(path); }
  ~Scratch() { remove_all(path); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  std::filesystem::path path = std::filesystem::temp_directory_path() /
                               ("memolock-fuzz-" + random_name());
};

}  // namespace

Harness::Harness(std::string_view name, Feed feed) { table().emplace(name, feed); }

const std::map<std::string_view, Feed>& harnesses() { return table(); }

void require(bool holds, std::string_view what) {
  if (holds) return;
  (void)write_all(STDERR_FILENO, "does not hold: " + std::string(what) + '\n');
  std::abort();
}

void require_printable(std::string_view text) {
  require(escape_controls(text) == text, "it is printable: " + escape_controls(text));
}

const std::filesystem::path& scratch() {
  static const Scratch folder;
  return folder.path;
}

}  // namespace memolock::fuzz

/// The function that libFuzzer calls. MEMOLOCK_FUZZ names the harness.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  using namespace memolock::fuzz;
  static const Feed feed = harnesses().at(getenv("MEMOLOCK_FUZZ"));
  feed({reinterpret_cast<const char*>(bytes), size});
  return 0;
}
