// plant ARCHIVE [ENTRY]: replaces the artifacts of a stored entry with an archive, and updates its
// checksums. Without an entry, prints the length and hash of the archive as the hash in Redis has
// them.
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>

#include "src/entry/record.hpp"

namespace {

std::string content_of(const char* path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2 && argc != 3) return 2;
  const std::string archive = content_of(argv[1]);
  const auto hash = memolock::checksum(archive);
  if (argc == 2) {
    std::printf("%zu %016llx\n", archive.size(), static_cast<unsigned long long>(hash));
    return 0;
  }
  std::string bytes = content_of(argv[2]);
  auto record = memolock::decode(bytes);
  const auto payload = memolock::payload_offset(bytes);
  if (!record || !payload) {
    std::fprintf(stderr, "plant: %s is not an entry\n", argv[2]);
    return 1;
  }
  bytes.resize(*payload + record->out_size + record->err_size);
  bytes += archive;
  record->files_size = archive.size();
  record->files_hash = hash;
  bytes.replace(0, *payload, memolock::encode(*record));
  std::ofstream out(argv[2], std::ios::binary | std::ios::trunc);
  out << bytes;
  return out.flush() ? 0 : 1;
}
