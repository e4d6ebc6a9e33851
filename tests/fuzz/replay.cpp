// fuzz CORPUS [NAME]: runs each harness, or the one of this name, on the files of its corpus.
// Prints the name of each file first, so the last name is that of a file that made the harness
// fail.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>

#include "tests/fuzz/harness.hpp"

namespace memolock::fuzz {
namespace {

std::string bytes_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void replay(const std::filesystem::path& corpus, std::string_view name, Feed feed) {
  for (const auto& file : std::filesystem::directory_iterator(corpus / name)) {
    std::cout << name << '/' << file.path().filename().string() << std::endl;
    feed(bytes_of(file.path()));
  }
}

}  // namespace
}  // namespace memolock::fuzz

int main(int argc, char** argv) {
  if (argc < 2 || argc > 3) return EXIT_FAILURE;
  for (const auto& [name, feed] : memolock::fuzz::harnesses())
    if (argc == 2 || name == argv[2]) memolock::fuzz::replay(argv[1], name, feed);
  return EXIT_SUCCESS;
}
