// Harness: restores the artifacts of an entry, and checks that nothing is written outside of the
// wanted paths.
#include <sys/mman.h>

#include <fstream>

#include "src/artifacts/restore.hpp"
#include "src/system/error.hpp"
#include "tests/fuzz/harness.hpp"

namespace memolock::fuzz {
namespace {

namespace fs = std::filesystem;

/// The files that exist outside of the wanted paths.
std::string seen(const fs::path& folder) {
  std::string all;
  for (auto at = fs::recursive_directory_iterator(folder); at != end(at); ++at) {
    const bool is_wanted = at->path() == folder / "in" / "wanted";
    if (is_wanted) at.disable_recursion_pending();
    if (!is_wanted) all += at->path().string() + (at->is_directory() ? "/ " : " ");
  }
  std::string content;
  std::ifstream(folder / "out" / "precious") >> content;
  return all + content;
}

const Harness archive("archive", [](std::string_view bytes) {
  const fs::path folder = scratch() / "archive";
  remove_all(folder);
  create_directories(folder / "in");
  create_directory(folder / "out");
  std::ofstream(folder / "out" / "precious") << "precious";
  fs::current_path(folder / "in");
  const std::string before = seen(folder);
  const Descriptor file(memfd_create("archive", MFD_CLOEXEC));
  require(write_all(file.get(), bytes) == 0, "memory can be allocated");
  try {
    restore({file.get(), 0, bytes.size()}, {"wanted", "other"}, {"wanted"}, 1U << 20, -1);
  } catch (const Error& error) {
    require(error.kind() == Error::Kind::store, "an invalid archive is a store error");
    require_printable(error.what());
  }
  require(seen(folder) == before, "nothing is written outside of the wanted paths");
});

}  // namespace
}  // namespace memolock::fuzz
